"""Predictors of PyTorch small enough for a test: two convolutions with a normalisation between them."""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

SIZES = {"train": 48, "val": 21, "test": 13, "height": 5, "width": 7, "batch": 8}
NORMS = {
    "batch": nn.BatchNorm2d,
    "instance": lambda width: nn.InstanceNorm2d(width, affine=True, track_running_stats=True),
    "group": lambda width: nn.GroupNorm(2, width),
    "none": lambda width: nn.Identity(),
}


@dataclass(frozen=True)
class TorchBatch:
    names: list[str]
    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


class Network(nn.Module):
    """Lines (B, 1, H, W) to colours (B, 3, H, W). Random running statistics, as if it had been trained."""

    def __init__(self, seed, width=4, norm="batch", activation="relu", dropout=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.norm = NORMS[norm](width)
        self.act = {"relu": nn.ReLU, "elu": nn.ELU}[activation]()
        self.drop = nn.Dropout(dropout)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.register_buffer("tint", torch.zeros(3, 1, 1))
        with torch.no_grad():
            for tensor in self.state_dict().values():
                if tensor.is_floating_point():
                    tensor.normal_(0, 0.5, generator=generator)
            for name, tensor in self.named_buffers():
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.5)
                if name.endswith("num_batches_tracked"):
                    tensor.fill_(seed % 1000)

    def forward(self, lines):
        features = self.drop(self.act(self.norm(self.first(lines))))
        return torch.tanh(self.last(features) + self.tint)


class TorchTiny:
    output = "colours"
    gain_metric = "psnr"
    flip_axes = (-1,)

    def __init__(self, module, settings=None):
        self.module = module.eval()
        self.settings = settings or {}

    def __call__(self, inputs):
        with torch.no_grad():
            return self.module(torch.tensor(inputs)).numpy()

    def with_module(self, module):
        return TorchTiny(module, self.settings)

    def batches(self, split):
        for start in range(0, SIZES[split], SIZES["batch"]):
            positions = np.arange(start, min(start + SIZES["batch"], SIZES[split]))
            generator = np.random.default_rng([start, len(split)])
            size = (len(positions), 1, SIZES["height"], SIZES["width"])
            inputs = generator.uniform(-1, 1, size).astype(np.float32)
            targets = np.concatenate([np.tanh(inputs), inputs / 2, -inputs], axis=1)
            yield TorchBatch([f"{split}-{position}" for position in positions], inputs, targets, positions // 2)

    def scores(self, predictions, targets):
        mse = np.square(predictions - targets, dtype=np.float64).mean(axis=(1, 2, 3))
        return {"mse": mse, "psnr": 10 * np.log10(4 / np.maximum(mse, 1e-12))}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}

    def picture(self, values):
        pixels = ((values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
        return np.broadcast_to(pixels.transpose(1, 2, 0), (*values.shape[1:], 3)).copy()

    def save(self, folder, **notes):
        folder.mkdir(parents=True)
        weights = {name: tensor.contiguous() for name, tensor in self.module.state_dict().items()}
        contents = {
            "weights.safetensors": safetensors.torch.save(weights),
            "settings.json": json.dumps(self.settings).encode(),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        manifest = {
            "format": "huetune-checkpoint",
            "version": 1,
            "predictor": "tiny-torch",
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
            "notes": notes,
        }
        (folder / "checkpoint.json").write_text(json.dumps(manifest))


def make(seed, **settings):
    return TorchTiny(Network(seed, **settings), settings)


def near(predictor, seed, distance=0.05):
    """Another with weights not far away, as of the same training."""
    module = copy.deepcopy(predictor.module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=distance)
    return predictor.with_module(module)


def load(folder, data=None):
    folder = Path(folder)
    settings = json.loads((folder / "settings.json").read_text())
    module = Network(0, **settings)
    module.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
    return TorchTiny(module, settings)
