"""Synthetic runs for the report's tests: a seeded fake search of any size, and its files as a real run has them."""

import io
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from search.report.tables.snapshot import Goal, Snapshot

METRICS = ("psnr", "mse", "ssim", "ciede2000")
SPACE: dict[str, Any] = {
    "lr_g": {"type": "loguniform", "low": 1e-5, "high": 1e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "channels": {"type": "lograndint", "low": 8, "high": 64},
    "norm": {"type": "choice", "values": ["batch", "instance", None]},
    "adam/betas": {"type": "choice", "values": [[0.5, 0.999], [0.9, 0.999], [0.0, 0.9]]},
    "hints": {"type": "choice", "values": [True, False]},
    "warmup": {"type": "randint", "low": 0, "high": 5},
    "data": {"type": "constant", "value": "drawings-48"},
}


@dataclass(frozen=True)
class SyntheticRun:
    """A run in memory, read in the way a report reads any run."""

    definition: dict[str, Any]
    trials: pd.DataFrame
    measured: pd.DataFrame
    blend: dict[str, Any] | None = None
    scores: pd.DataFrame | None = None
    pictures: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    sizes: pd.DataFrame | None = None
    gallery: pd.DataFrame | None = None
    logs: dict[int, str] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return str(self.definition.get("status", "finished"))

    def table(self) -> pd.DataFrame:
        return self.trials

    def measurements(self) -> pd.DataFrame:
        return self.measured

    def log(self, number: int) -> str | None:
        return self.logs.get(number)

    def ensemble(self) -> dict[str, Any] | None:
        return self.blend

    def ensemble_scores(self) -> pd.DataFrame | None:
        return self.scores

    def ensemble_pictures(self) -> pd.DataFrame | None:
        return self.pictures

    def ensemble_correlation(self) -> pd.DataFrame | None:
        return self.pairs

    def ensemble_sizes(self) -> pd.DataFrame | None:
        return self.sizes

    def ensemble_gallery(self) -> pd.DataFrame | None:
        return self.gallery


def synthetic_run(trials: int = 40, iterations: int = 12, seed: int = 0, ensemble: bool = True) -> SyntheticRun:
    """A fake search: finished, stopped and failed trials, some NaN and infinite measurements, one gap a parameter."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 3, 5, 9, 12, tzinfo=UTC)
    rows, reports = [], []
    for n in range(1, trials + 1):
        row, measured = _trial(n, iterations, random, start, [r["score"] for r in rows])
        rows.append(row)
        reports += measured
    table = pd.DataFrame(rows, columns=[*_COLUMNS, "config", *("config." + name for name in SPACE)])
    definition = {
        "format": "huetune-run",
        "version": 1,
        "name": "spring-colours",
        "metric": "psnr",
        "mode": "max",
        "score": "best",
        "trials": trials,
        "iterations": iterations,
        "seed": seed,
        "method": "Bayesian(kind='tpe')",
        "scheduler": "AsyncHyperBandScheduler",
        "trainable": "ColorizerTrial",
        "resources": {"cpu": 1, "gpu": 0.5},
        "space": SPACE,
        "keep_checkpoints": 8,
        "versions": {"huetune": "0.1.0", "ray": "2.60.0"},
        "git_commit": "0123abc",
        "command": "huetune run searches/quick.py --data drawings-48 --name spring-colours",
        "started": start.isoformat(),
        "ended": (start + timedelta(seconds=140 * trials)).isoformat(),
        "status": "finished",
    }
    columns = ["trial_id", "iteration", "seconds", "time", *METRICS]
    run = SyntheticRun(definition, table, pd.DataFrame(reports, columns=columns))
    return with_ensemble(run, seed) if ensemble else run


def snapshot_of(parameters, values, scores, maximize, columns) -> Snapshot:
    """The moment of a finished run whose trials have these values of parameters and these scores, the higher the better
    as they are given; `columns` are laid over what its table would hold."""
    goal, n = Goal("acc", maximize), len(scores)
    trials = {
        "trial_id": [f"t{i}" for i in range(n)],
        "number": range(1, n + 1),
        "status": "finished",
        "stage": None,
        "reason": None,
        "iterations": 10,
        "score": scores * goal.sign,
        **{f"config.{p.name}": values[p.name] for p in parameters},
    }
    frame = pd.DataFrame({**trials, **columns})
    best = None if frame["score"].isna().all() else int((frame["score"] * goal.sign).idxmax())
    return Snapshot({}, goal, parameters, frame, pd.DataFrame(), best)


def with_ensemble(run: SyntheticRun, seed: int = 0, k: int = 6) -> SyntheticRun:
    """The run with an ensemble of its best trials: scores, correlations and drawn pictures."""
    random = np.random.default_rng(seed)
    good = run.trials[run.trials["status"] != "failed"].sort_values("score", ascending=False).head(k)
    weights = np.sort(random.dirichlet(np.full(len(good), 3.0)))[::-1]
    members = [
        {
            "folder": f"members/{i:02d}",
            "flip": False,
            "trial_id": t,
            "iteration": 12,
            "source": f"checkpoints/{t}",
        }
        for i, t in enumerate(good["trial_id"])
    ]
    scores = pd.DataFrame(
        [
            ("best_single", 1, 0.0481, 19.37, 0.812, 11.9, 0.93, 0.0, 0.0, 0.0, False, 0.0484, 19.6, 1.2),
            ("uniform", k, 0.0391, 20.29, 0.838, 11.1, 0.78, 0.92, 0.81, 1.03, False, 0.0394, 20.5, 7.2),
            ("simplex", 5, 0.0379, 20.46, 0.841, 10.9, 0.80, 1.09, 0.98, 1.20, False, 0.0381, 20.7, 6.1),
            ("greedy", k, 0.0377, 20.49, 0.842, 10.8, 0.81, 1.12, 1.01, 1.23, True, 0.0380, 20.8, 7.3),
            ("best_of_two", 2, 0.0480, 19.38, 0.811, 11.8, 0.90, 0.01, -0.09, 0.11, False, 0.0483, 19.6, 2.3),
        ],
        columns=["method", "members", "mse", "psnr", "ssim", "ciede2000", "colourfulness",
                 "gain_psnr", "gain_low", "gain_high", "ships", "val_mse", "val_psnr", "ms_per_example"],
    )  # fmt: skip
    scores["parameters"] = 394_526 * scores["members"]
    base = 0.62 + 0.3 * random.random((len(good), len(good)))
    square = np.where(np.eye(len(good), dtype=bool), 1.0, (base + base.T) / 2)
    pairs = [
        {"member_a": members[a]["folder"], "member_b": members[b]["folder"], "correlation": square[a, b]}
        for a in range(len(good))
        for b in range(len(good))
    ]
    blend = {
        "format": "huetune-ensemble",
        "version": 2,
        "method": "greedy",
        "members": members,
        "rule": {"kind": "weights", "settings": {"weights": [float(weight) for weight in weights]}},
        "set_aside": [],
    }
    pictures = _pictures(random)
    return replace(
        run,
        blend=blend,
        scores=scores,
        pairs=pd.DataFrame(pairs),
        pictures=pictures,
        sizes=_sizes(k),
        gallery=_gallery(good, pictures),
    )


def write_run(run: SyntheticRun, folder: Path) -> Path:
    """The run's files, as a search leaves them."""
    (folder / "measurements").mkdir(parents=True)
    (folder / "search.json").write_text(json.dumps(run.definition), encoding="utf-8")
    run.trials.to_parquet(folder / "trials.parquet")
    run.measured.to_parquet(folder / "measurements" / "0.parquet")
    for number, text in run.logs.items():
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "logs" / f"{number:05d}.txt").write_text(text, encoding="utf-8")
    if run.blend is not None:
        (folder / "ensemble").mkdir()
        (folder / "ensemble" / "ensemble.json").write_text(json.dumps(run.blend), encoding="utf-8")
        for name, table in {
            "scores": run.scores,
            "correlation": run.pairs,
            "pictures": run.pictures,
            "sizes": run.sizes,
            "gallery": run.gallery,
        }.items():
            if table is not None:
                table.to_parquet(folder / "ensemble" / f"{name}.parquet")
    return folder


_COLUMNS = [
    "trial_id", "number", "status", "stage", "score", "metric.best", "metric.last", "metric.best_iteration",
    "iterations", "seconds", "node", "resources.cpu", "resources.gpu", "checkpoint", "checkpoint_iteration",
    "error", "started", "ended", "suggested_by",
]  # fmt: skip


def _trial(
    n: int, iterations: int, random: np.random.Generator, start: datetime, before: list[float]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    config = {
        "lr_g": float(10 ** random.uniform(-5, -2)),
        "dropout": float(random.uniform(0, 0.5)),
        "channels": int(2 ** random.uniform(3, 6)),
        "norm": [None, "batch", "instance"][random.integers(3)],
        "adam/betas": SPACE["adam/betas"]["values"][random.integers(3)],
        "hints": bool(random.integers(2)),
        "warmup": None if n % 4 == 0 else int(random.integers(6)),
        "data": "drawings-48",
    }
    top = (
        19.6
        - 1.6 * abs(np.log10(config["lr_g"]) + 3.2)
        - 3 * config["dropout"] ** 2
        + 0.5 * np.log2(config["channels"] / 32)
    )
    top += {"batch": 0.4, "instance": 0.15, None: -0.3}[config["norm"]] + random.normal(0, 0.15)
    fails, diverges = n % 13 == 7, n % 17 == 11
    last = int(random.integers(1, iterations)) if fails or diverges else iterations
    known = [score for score in before if np.isfinite(score)]
    # What a trial at the median of those before it would have reached by now: the poorer half is stopped.
    middle = float(np.median(known)) if len(known) > 5 else None
    trial_id, pace = f"{n:04x}_{random.integers(1 << 16):04x}", float(random.uniform(6, 11))
    began = start + timedelta(seconds=120 * (n - 1) / 2)
    reports, values, status = [], [], "finished"
    for iteration in range(1, last + 1):
        value = 12 + (top - 12) * (1 - np.exp(-3.2 * iteration / iterations)) + random.normal(0, 0.06)
        value = (
            float("nan")
            if diverges and iteration == last
            else float("inf")
            if n == 3 and iteration == 2
            else float(value)
        )
        values.append(value)
        metrics = (value, 4 * 10 ** (-value / 10), value / 24, 30 - value)
        report = dict(zip(METRICS, metrics, strict=True))
        seconds = pace * iteration
        reports.append(
            {
                "trial_id": trial_id,
                "iteration": iteration,
                "seconds": seconds,
                "time": began + timedelta(seconds=seconds),
                **report,
            }
        )
        reached = None if middle is None else 12 + (middle - 12) * (1 - np.exp(-3.2 * iteration / iterations))
        if reached and iteration in (3, 6) and value < reached - (0.15 if iteration == 3 else 0.0):
            status = "stopped"
            break
    finite = [v for v in values if np.isfinite(v)]
    error = None
    if fails or diverges:
        status = "failed"
        error = (
            f"The metric psnr was not finite at iteration {last}."
            if diverges
            else 'Traceback (most recent call last):\n  File "trial.py", line 88, in step\n    loss.backward()\n'
            f"RuntimeError: out of GPU memory at channels={config['channels']}; lower it or give it a larger share"
        )
    row = {
        "trial_id": trial_id,
        "number": n,
        "status": status,
        "stage": None,
        "score": float("nan") if status == "failed" else max(finite),
        "metric.best": max(finite, default=float("nan")),
        "metric.last": values[-1],
        "metric.best_iteration": len(values),
        "iterations": len(values),
        "seconds": pace * len(values),
        "node": f"10.0.0.{n % 3 + 1}",
        "resources.cpu": 1.0,
        "resources.gpu": 0.5,
        "checkpoint": f"checkpoints/{trial_id}" if status == "finished" else None,
        "checkpoint_iteration": len(values),
        "error": error,
        "started": began,
        "ended": began + timedelta(seconds=pace * len(values)),
        "suggested_by": "random" if n <= 8 else "tpe",
        "config": json.dumps(config),
        # A column of lists is written as JSON text, as the recorder does.
        **{f"config.{k}": json.dumps(v) if isinstance(v, list) else v for k, v in config.items()},
    }
    return row, reports


def _sizes(k: int) -> pd.DataFrame:
    rows = []
    for size in [size for size in (1, 2, 3, 4, 6, 8) if size <= k]:
        for method, most in (("mean", 1.1), ("simplex_log", 1.3)):
            gain = most * (1 - 1 / size)
            margin = 0.1 if size > 1 else 0.0
            rows.append((method, size, 19.37 + gain, gain, gain - margin, gain + margin))
    return pd.DataFrame(rows, columns=["method", "members", "psnr", "gain", "gain_low", "gain_high"])


def _gallery(good: pd.DataFrame, pictures: pd.DataFrame) -> pd.DataFrame:
    """Three drawings, paler with each trial, and more colourful with each iteration."""
    ids = list(good["trial_id"])
    stops = [("trials", trial, 12, 0.1 * n) for n, trial in enumerate(ids)]
    stops += [("iterations", ids[0], iteration, 0.9 - iteration / 14) for iteration in (3, 6, 9, 12)]
    truths = pictures[pictures["kind"] == "truth"].head(3)
    rows = []
    for strip, trial, iteration, pale in stops:
        for example, image in zip(truths["example"], truths["image"], strict=True):
            colours = Image.open(io.BytesIO(image["bytes"]))
            drawn = Image.blend(colours, Image.merge("RGB", [colours.convert("L")] * 3), pale)
            rows.append((strip, trial, iteration, example, 20 - 5 * pale, _png(drawn)))
    return pd.DataFrame(rows, columns=["strip", "trial_id", "iteration", "example", "score", "image"])


def _pictures(random: np.random.Generator, examples: int = 8, size: int = 48) -> pd.DataFrame:
    rows = []
    for n in range(examples):
        colors = [tuple(int(v) for v in random.integers(60, 250, 3)) for _ in range(3)]
        line, truth = _drawing(size, None, n), _drawing(size, colors, n)
        grey = Image.merge("RGB", [truth.convert("L")] * 3)
        single = Image.blend(truth, grey, 0.45).filter(ImageFilter.GaussianBlur(1.1))
        blend = Image.blend(truth, grey, 0.3).filter(ImageFilter.GaussianBlur(0.6))
        shown = {"line": line, "best_single": single, "ensemble": blend, "truth": truth}
        for kind, image in shown.items():
            score = {"best_single": 19.0 - n / 2, "ensemble": 20.2 - n / 2.2}.get(kind)
            reason = "worst" if n >= examples - 2 else "evenly spaced"
            rows.append(
                {
                    "example": f"drawing-{n:03d}",
                    "kind": kind,
                    "reason": reason,
                    "score": score,
                    "image": _png(image),
                }
            )
    return pd.DataFrame(rows)


def _drawing(size: int, colors: list[tuple[int, ...]] | None, n: int) -> Image.Image:
    image = Image.new("RGB", (size * 4, size * 4), "white")
    draw = ImageDraw.Draw(image)
    skin, hair, shirt = colors or [(255, 255, 255)] * 3
    pen = {"outline": (20, 20, 20), "width": 5}
    c, s = size * 2, size * 4
    draw.rounded_rectangle((s * 0.22, s * 0.66, s * 0.78, s * 1.1), 30, fill=shirt, **pen)
    draw.ellipse((s * 0.2, s * 0.08, s * 0.8, s * 0.6), fill=hair, **pen)
    draw.ellipse((s * 0.26, s * 0.18, s * 0.74, s * 0.72), fill=skin, **pen)
    for side in (-1, 1):
        x = c + side * s * (0.1 + 0.005 * n)
        draw.ellipse((x - 8, s * 0.38, x + 8, s * 0.38 + 18), fill=(20, 20, 20))
    draw.arc((c - 24, s * 0.48, c + 24, s * 0.6), 10 + 4 * n, 170 - 4 * n, fill=(20, 20, 20), width=5)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}
