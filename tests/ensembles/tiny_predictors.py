"""A predictor small enough for a test: the truth plus an error of its own, loaded by a real entry point."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZES = {"val": 23, "test": 29, "height": 5, "width": 7, "batch": 4, "per_group": 2}


@dataclass(frozen=True)
class TinyBatch:
    names: list[str]
    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


def truth(inputs):
    return np.concatenate([np.tanh(inputs), inputs / 2, -inputs], axis=1)  # (B, 3, H, W)


class TinyPredictor:
    output = "colours"
    flip_axes = (-1,)
    gain_metric = "psnr"

    def __init__(self, seed, scale, mode, sizes):
        self.seed, self.scale, self.mode, self.sizes = seed, scale, mode, sizes
        self.runs = 0

    def __call__(self, inputs):
        self.runs += 1
        shape = (3, *inputs.shape[2:])
        pattern = np.random.default_rng(self.seed).normal(size=shape).astype(np.float32)
        result = truth(inputs) + np.float32(self.scale) * pattern * inputs
        if self.mode == "nan" or (self.mode == "nan late" and inputs.max() > 0.999):
            result[0, 0, 0, 0] = np.nan
        if self.mode == "shape":
            return result[:, :1]
        if self.mode == "raise":
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return result.astype(np.float32)

    def batches(self, split):
        total, step, each = self.sizes[split], self.sizes["batch"], self.sizes["per_group"]
        for start in range(0, total, step):
            positions = np.arange(start, min(start + step, total))
            generator = np.random.default_rng([start, split == "test"])
            size = (len(positions), 1, self.sizes["height"], self.sizes["width"])
            inputs = generator.uniform(-1, 1, size).astype(np.float32)
            inputs = np.minimum(inputs, np.float32(0.99))
            if split == "test":
                inputs[0, 0, 0, 0] = 1.0  # what sets off "nan late", and nothing on validation
            names = [f"{split}-{position}" for position in positions]
            groups = positions[1:] if self.mode == "ragged" else positions // each
            yield TinyBatch(names, inputs, truth(inputs), groups)

    def scores(self, predictions, targets):
        mse = np.square(predictions - targets, dtype=np.float64).mean(axis=(1, 2, 3))
        if self.mode == "no psnr":
            return {"mse": mse}
        return {"mse": mse, "psnr": np.minimum(60.0, 10 * np.log10(4 / np.maximum(mse, 1e-12)))}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}

    def picture(self, values):
        pixels = ((values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
        return np.broadcast_to(pixels.transpose(1, 2, 0), (*values.shape[1:], 3)).copy()


def cheat(inputs):
    """Better than any member, so that it would be chosen if it could be."""
    return truth(inputs) * np.float32(0.99)


class TinyWithBaselines(TinyPredictor):
    def baselines(self):
        return {"cheat": cheat}


def load(folder, data=None):
    settings = json.loads((Path(folder) / "settings.json").read_text())
    if settings["mode"] == "unloadable":
        raise KeyError("decoder.weight")
    sizes = SIZES | settings.get("sizes", {}) if data is None else SIZES | json.loads(Path(data).read_text())
    kind = TinyWithBaselines if settings["mode"] == "baselines" else TinyPredictor
    return kind(settings["seed"], settings["scale"], settings["mode"], sizes)


def not_a_predictor(folder, data=None):
    return "colours"


def write_checkpoint(folder, seed, scale=0.5, mode="", *, predictor="tiny", sizes=None):
    folder.mkdir(parents=True)
    content = json.dumps({"seed": seed, "scale": scale, "mode": mode, "sizes": sizes or {}}).encode()
    (folder / "settings.json").write_bytes(content)
    manifest = {
        "format": "huetune-checkpoint",
        "version": 1,
        "predictor": predictor,
        "files": {"settings.json": hashlib.sha256(content).hexdigest()},
    }
    (folder / "checkpoint.json").write_text(json.dumps(manifest))
    return folder
