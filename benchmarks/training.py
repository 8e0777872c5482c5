"""Training images per second: the default trial against a plain loop of the same networks, on one thread.

The plain loop is what a user would write: NCHW float32, a discriminator pass each for the true and the
generated drawings, torch.optim.Adam, batches gathered from a float32 copy of the data. All loops start from the
same weights and see drawings of the same kind; the losses after the run show that all learn. Seconds are the
processor's, so that other programs on the machine count as little as can be.

    python benchmarks/training.py [--quick] [--json FILE]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.dataset import Drawings
from colorizer.training import Trainer

Losses = dict[str, float]


def painted(count: int, size: int, seed: int) -> Drawings:
    """Squares and discs in the colour of their kind, outlined with a black pen."""
    rng = np.random.default_rng(seed)
    lines = np.full((count, 1, size, size), 255, np.uint8)
    colors = np.full((count, 3, size, size), 255, np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for n in range(count):
        for _ in range(4):
            row, column = rng.integers(0, size, 2)
            radius = rng.integers(size // 10, size // 4)
            if rng.random() < 0.5:
                distance, paint = np.hypot(rows - row, columns - column), (240, 180, 40)
            else:
                distance, paint = np.maximum(abs(rows - row), abs(columns - column)), (60, 110, 220)
            colors[n][:, distance < radius] = np.array(paint)[:, None]
            lines[n][:, distance < radius] = 255
            lines[n][:, abs(distance - radius) < 1] = 0
        colors[n] *= lines[n] > 0
    return Drawings([f"{n}" for n in range(count)], np.arange(count), lines, colors)


class PlainLoop:
    """The trial as it is usually written."""

    def __init__(self, config: TrainingConfig, train: Drawings) -> None:
        rng = torch.Generator().manual_seed(config.seed)
        self.config = config
        self.generator = build_generator(config, rng)
        self.discriminator = build_discriminator(config, rng)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), config.lr_g, (config.beta1, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), config.lr_d, (config.beta1, 0.999))
        self.lines = torch.from_numpy(train.lines).float() / 127.5 - 1
        self.colors = torch.from_numpy(train.colors).float() / 127.5 - 1
        self.order = torch.Generator().manual_seed(config.seed)

    def train(self, steps: int) -> Losses:
        config = self.config
        totals = np.zeros(3)
        for _ in range(steps):
            chosen = torch.randint(len(self.lines), (config.batch_size,), generator=self.order)
            lines, colors = self._flipped(self.lines[chosen], self.colors[chosen])
            fake = self.generator(lines)

            self.adam_d.zero_grad()
            real_logits = self.discriminator(lines, colors)
            fake_logits = self.discriminator(lines, fake.detach())
            real_loss = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
            fake_loss = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
            loss_d = (real_loss + fake_loss) / 2
            loss_d.backward()  # type: ignore[no-untyped-call]
            self.adam_d.step()

            self.adam_g.zero_grad()
            logits = self.discriminator(lines, fake)
            adversarial = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
            reconstruction = config.mse_weight * F.mse_loss(fake, colors) + config.l1_weight * F.l1_loss(fake, colors)
            loss_g = config.adversarial_weight * adversarial + reconstruction
            loss_g.backward()  # type: ignore[no-untyped-call]
            self.adam_g.step()
            totals += [loss_g.item(), loss_d.item(), reconstruction.item()]
        return dict(zip(("loss_g", "loss_d", "reconstruction"), (totals / steps).tolist(), strict=True))

    def _flipped(self, lines: Tensor, colors: Tensor) -> tuple[Tensor, Tensor]:
        if not self.config.flip:
            return lines, colors
        mirrored = (torch.rand(len(lines), generator=self.order) < 0.5)[:, None, None, None]
        return torch.where(mirrored, lines.flip(-1), lines), torch.where(mirrored, colors.flip(-1), colors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(repeats=16 if arguments.quick else 60, steps=4)
    print_table(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(repeats: int, steps: int) -> dict[str, Any]:
    """Time the three loops in turn, `repeats` times, so that other load meets all of them."""
    config = TrainingConfig(size=64, channels=16, schedule="constant")
    train = painted(256, config.size, seed=0)
    loops: dict[str, Callable[[int], Losses]] = {
        "plain": PlainLoop(config, train).train,
        "huetune": Trainer(config, train).train,
        "huetune bf16": Trainer(replace(config, precision="bfloat16"), train).train,
    }
    first = {name: loop(3) for name, loop in loops.items()}  # also the warm-up
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    last: dict[str, Losses] = {}
    for repeat in range(repeats):
        # Every other round backwards: none always runs after the same one.
        for name in list(loops)[:: 1 if repeat % 2 else -1]:
            start = time.process_time()
            last[name] = loops[name](steps)
            seconds[name].append(time.process_time() - start)
    images = config.batch_size * steps
    plain = np.array(seconds["plain"])
    rows = [
        {
            "loop": name,
            "images_per_second": images / float(np.median(times)),
            **ratio_interval(plain, np.array(times)),
            "reconstruction_first": first[name]["reconstruction"],
            "reconstruction_last": last[name]["reconstruction"],
            "loss_d_last": last[name]["loss_d"],
            "steps": 3 + repeats * steps,
        }
        for name, times in seconds.items()
    ]
    by_name = {row["loop"]: row for row in rows}
    return {
        "machine": machine(),
        "rows": rows,
        "summary": {
            "speedup": by_name["huetune"]["speedup"],
            "speedup_low": by_name["huetune"]["speedup_low"],
            "speedup_high": by_name["huetune"]["speedup_high"],
            "speedup_bf16": by_name["huetune bf16"]["speedup"],
            "size": config.size,
            "channels": config.channels,
            "batch_size": config.batch_size,
        },
    }


def ratio_interval(plain: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, float]:
    """Ratio of the medians, with a 95 % interval over resampled rounds (its times stay together)."""
    rounds = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    ratios = np.median(plain[rounds], axis=1) / np.median(ours[rounds], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    speedup = float(np.median(plain) / np.median(ours))
    return {"speedup": speedup, "speedup_low": float(low), "speedup_high": float(high)}


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "system": platform.platform(),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def print_table(result: dict[str, Any]) -> None:
    print(f"{result['machine']['cpu']}, one thread, torch {result['machine']['torch']}")
    print(f"{'loop':14}{'images/s':>10}{'speedup':>9}  {'95 %':14}{'reconstruction':>18}{'loss_d':>9}")
    for row in result["rows"]:
        interval = f"{row['speedup_low']:.2f} - {row['speedup_high']:.2f}"
        change = f"{row['reconstruction_first']:.2f} -> {row['reconstruction_last']:.2f}"
        print(
            f"{row['loop']:14}{row['images_per_second']:10.1f}{row['speedup']:9.2f}  {interval:14}"
            f"{change:>18}{row['loss_d_last']:9.3f}"
        )


if __name__ == "__main__":
    main()
