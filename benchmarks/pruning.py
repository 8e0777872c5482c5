"""How small and quick a pruned generator is, and what it has lost: cut, trained again, beside the whole one.

    python benchmarks/pruning.py COLOR_DIR LINE_DIR [--seeds 0 1 2] [--quick] [--json FILE]

A generator is trained; each round then cuts the weakest filters out and trains what is left again. The whole one is
trained on for as many steps as all rounds together, so that none has seen more. Scores are those of the test split.
Predictions of both are timed in turn, on one thread, seconds being the processor's.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import Row, drawings_parser, finish, interval

from colorizer.checkpoint import load_generator
from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset
from colorizer.generator import UNet, predict
from colorizer.prepare import prepare
from colorizer.pruning import prune_and_retrain
from colorizer.training import Trainer

SIZE, CHANNELS, BATCH = 64, 16, 16
SHARE = 0.3  # of the filters, in each round


def main() -> None:
    options = drawings_parser(__doc__, seeds=(0, 1, 2)).parse_args()
    rounds, first, again = (1, 60, 20) if options.quick else (3, 900, 300)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = Dataset.open(prepare(options.colors, Path(scratch) / "dataset", options.lines).folder)
        parts = [
            row
            for seed in options.seeds
            for row in measured(dataset, Path(scratch) / str(seed), seed, rounds, first, again)
        ]
    rows = [joined([part for part in parts if part["rounds"] == number]) for number in range(rounds + 1)]
    last = [part for part in parts if part["rounds"] == rounds]
    low, high = interval([part["speedup"] for part in last])
    summary = {
        "share_of_filters": 1 - (1 - SHARE) ** rounds,
        "parameters": rows[-1]["parameters"] / rows[0]["parameters"],
        "speedup": rows[-1]["speedup"],
        "speedup_low": low,
        "speedup_high": high,
        "psnr_lost": rows[0]["psnr"] - rows[-1]["psnr"],
        "steps": first + rounds * again,
        "size": SIZE,
        "seeds": len(options.seeds),
    }
    finish(options, rows, summary)


def measured(dataset: Dataset, folder: Path, seed: int, rounds: int, first: int, again: int) -> list[Row]:
    """The whole generator and that of each round."""
    train, val, test = (dataset.split(split, SIZE) for split in ("train", "val", "test"))
    recipe: dict[str, Any] = {"size": SIZE, "channels": CHANNELS, "schedule": "constant", "ema": 0.98, "seed": seed}
    trainer = Trainer(TrainingConfig(**recipe, steps_per_report=first, total_reports=1), train)
    trainer.train(first, look=False)
    trainer.save(folder / "whole")
    trainer.train(rounds * again, look=False)
    whole = trainer.shown
    rows = [described(0, whole, whole, trainer.evaluate(test))]
    settings = {"steps_per_report": again, "total_reports": 1}
    for number, told in enumerate(
        prune_and_retrain(folder / "whole", folder, train, val, share=SHARE, rounds=rounds, settings=settings), start=1
    ):
        pruned, description = load_generator(told.folder)
        scored = Trainer(description.config, train)
        scored.restore(told.folder)
        rows.append(described(number, pruned, whole, scored.evaluate(test)))
    return rows


def described(rounds: int, generator: UNet, whole: UNet, scores: dict[str, float]) -> Row:
    ours, theirs = timed([generator, whole])
    return {
        "rounds": rounds,
        "parameters": sum(weight.numel() for weight in generator.parameters()),
        "drawings_per_second": BATCH / ours,
        "speedup": theirs / ours,
        "psnr": scores["psnr"],
        "ciede2000": scores["ciede2000"],
    }


def timed(generators: list[UNet], repeats: int = 30) -> list[float]:
    """Median seconds of a prediction of `BATCH` drawings by each, taken in turn."""
    lines = torch.ones(BATCH, 1, SIZE, SIZE)
    seconds: list[list[float]] = [[] for _ in generators]
    for _ in range(repeats):
        for generator, times in zip(generators, seconds, strict=True):
            began = time.process_time()
            predict(generator, lines)
            times.append(time.process_time() - began)
    return [float(np.median(times[2:])) for times in seconds]


def joined(parts: list[Row]) -> Row:
    """Means over seeds."""
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


if __name__ == "__main__":
    main()
