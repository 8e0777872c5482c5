"""Synthetic runs of any size for the report, made in seconds: a seeded fake search, written as a real run folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

START = datetime(2026, 3, 5, 9, 12, tzinfo=UTC)
SPACE: dict[str, Any] = {
    "lr_g": {"type": "loguniform", "low": 1e-5, "high": 1e-2},
    "lr_d": {"type": "loguniform", "low": 1e-5, "high": 1e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "weight_decay": {"type": "loguniform", "low": 1e-6, "high": 1e-1},
    "channels": {"type": "lograndint", "low": 8, "high": 65},
    "depth": {"type": "randint", "low": 2, "high": 8},
    "norm": {"type": "choice", "values": ["batch", "instance", "none"]},
}


def write_synthetic(folder: Path, trials: int, iterations: int = 50, seed: int = 0) -> Path:
    """A run of so many trials: a tenth stopped early, 2 % failed with a log, one metric a report.

    `folder` is made and must not exist. The same arguments give the same files.
    """
    random = np.random.default_rng(seed)
    config = _configurations(trials, random)
    top = _quality(config) + random.normal(0, 0.15, trials)
    progress = 1 - np.exp(-3.2 * np.arange(1, iterations + 1) / iterations)
    values = 12 + (top[:, None] - 12) * progress + random.normal(0, 0.06, (trials, iterations))
    failed = random.random(trials) < 0.02
    length = _lengths(top, iterations, random)
    length[failed] = random.integers(1, iterations, int(failed.sum()))
    reported = np.arange(1, iterations + 1) <= length[:, None]
    table = _trials(config, np.where(reported, values, -np.inf), length, failed, iterations, random)

    row, at = np.nonzero(reported)
    seconds = (at + 1) * (table["seconds"] / table["iterations"]).to_numpy()[row]
    measured = pd.DataFrame(
        {
            "trial_id": table["trial_id"].to_numpy()[row],
            "iteration": at + 1,
            "seconds": seconds,
            "time": table["started"].take(row).reset_index(drop=True) + pd.to_timedelta(seconds, unit="s"),
            "psnr": values[row, at],
        }
    )
    (folder / "measurements").mkdir(parents=True)
    (folder / "logs").mkdir()
    for number, error in table.loc[table["error"].notna(), ["number", "error"]].itertuples(index=False):
        (folder / "logs" / f"{number:05d}.txt").write_text("step\n" * 60 + error + "\n", encoding="utf-8")
    (folder / "search.json").write_text(json.dumps(_definition(trials, iterations, seed)), encoding="utf-8")
    table.to_parquet(folder / "trials.parquet")
    measured.to_parquet(folder / "measurements" / "0.parquet")
    return folder


def _configurations(trials: int, random: np.random.Generator) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, axis in SPACE.items():
        if axis["type"] == "choice":
            columns[name] = random.choice(axis["values"], trials)
        elif axis["type"] == "randint":
            columns[name] = random.integers(axis["low"], axis["high"], trials)
        elif axis["type"] == "uniform":
            columns[name] = random.uniform(axis["low"], axis["high"], trials)
        else:
            drawn = np.exp(random.uniform(np.log(axis["low"]), np.log(axis["high"]), trials))
            columns[name] = drawn.astype(int) if "int" in axis["type"] else drawn
    return pd.DataFrame(columns)


def _quality(config: pd.DataFrame) -> np.ndarray:
    good = 19.6 - 1.6 * np.abs(np.log10(config["lr_g"]) + 3.2) - 0.4 * np.abs(np.log10(config["lr_d"]) + 3.6)
    good += 0.5 * np.log2(config["channels"] / 32) - 3 * config["dropout"] ** 2
    return (good + config["norm"].map({"batch": 0.4, "instance": 0.15, "none": -0.3})).to_numpy(float)


def _lengths(top: np.ndarray, iterations: int, random: np.random.Generator) -> np.ndarray:
    """How far each trial got: the poorest tenth was stopped after a third of its iterations."""
    rank = (top + random.normal(0, 0.3, len(top))).argsort().argsort() / max(1, len(top) - 1)
    return np.where(rank < 0.1, max(1, iterations // 3), iterations)


def _trials(
    config: pd.DataFrame,
    values: np.ndarray,
    length: np.ndarray,
    failed: np.ndarray,
    iterations: int,
    random: np.random.Generator,
) -> pd.DataFrame:
    trials = len(config)
    pace = random.uniform(6, 11, trials)
    began = pd.Timestamp(START) + pd.to_timedelta(np.arange(trials) * pace.mean() * length.mean() / 8, unit="s")
    best = values.argmax(axis=1)
    number = np.arange(1, trials + 1)
    error = "Traceback (most recent call last):\nRuntimeError: CUDA error: an illegal memory access was encountered"
    rows = config.to_dict("records")
    return pd.DataFrame(
        {
            "trial_id": [
                f"{n:05x}_{tag:04x}" for n, tag in zip(number, random.integers(1 << 16, size=trials), strict=True)
            ],
            "number": number,
            "status": np.select([failed, length < iterations], ["failed", "stopped"], "finished"),
            "stage": None,
            "score": np.where(failed, np.nan, values.max(axis=1)),
            "metric.best_iteration": best + 1,
            "iterations": length,
            "seconds": pace * length,
            "node": [f"10.0.0.{n % 8 + 1}" for n in number],
            "resources.cpu": 1.0,
            "resources.gpu": 0.5,
            "error": np.where(failed, error, None),
            "ended_by": np.where(~failed & (length < iterations), "the scheduler", None),
            "started": began,
            "ended": began + pd.to_timedelta(pace * length, unit="s"),
            "suggested_by": "Bayesian(kind='tpe')",
            "config": [json.dumps(row) for row in rows],
            **{f"config.{name}": config[name] for name in config},
        }
    )


def _definition(trials: int, iterations: int, seed: int) -> dict[str, Any]:
    return {
        "format": "huetune-run",
        "version": 1,
        "name": f"synthetic-{trials}",
        "metric": "psnr",
        "mode": "max",
        "score": "best",
        "trials": trials,
        "iterations": iterations,
        "seed": seed,
        "method": "Bayesian(kind='tpe')",
        "scheduler": "AsyncHyperBandScheduler",
        "trainable": "Synthetic",
        "resources": {"cpu": 1, "gpu": 0.5},
        "space": SPACE,
        "keep_checkpoints": 8,
        "versions": {"huetune": "0.1.0"},
        "git_commit": "0123abc",
        "command": f"huetune run searches/synthetic.py --name synthetic-{trials}",
        "file": "searches/synthetic.py",
        "arguments": [],
        "started": START.isoformat(),
        "ended": None,
        "status": "finished",
    }
