"""Training images per second: trials of the searches against a plain loop of the same networks, on one thread.

The plain loop is what a user would write: NCHW float32, a discriminator pass each for the true and the
generated drawings, torch.optim.Adam, batches gathered from a float32 copy of the data. All loops start from the
same weights and see drawings of the same kind. Seconds are the processor's, so that other programs on the machine
count as little as can be; on a GPU, where there is one, those of the clock.

`speedup` is that of precision="auto", which the searches that come with huetune have; on a GPU, with networks that
torch.compile has compiled. `loss_ratio` is the reconstruction cost of the same loop over the plain one's after 200
steps, a mean over seeds that stands beside what seeds alone do.

    python benchmarks/training.py [--quick] [--json FILE]
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from harness import arguments, finish
from numpy.typing import NDArray
from torch import Tensor

from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.dataset import Drawings
from colorizer.drawings import draw_characters
from colorizer.training import Trainer

Losses = dict[str, float]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SETTING = {"size": 64, "channels": 32, "batch_size": 8}


def painted(count: int, size: int) -> Drawings:
    """The embedded character, over and over."""
    drawings = list(draw_characters(count, size=size))
    lines = np.stack([drawing.line for drawing in drawings])[:, None]  # (N, 1, S, S)
    colors = np.stack([drawing.color for drawing in drawings]).transpose(0, 3, 1, 2)  # (N, 3, S, S)
    return Drawings([drawing.name for drawing in drawings], np.arange(count), lines, np.ascontiguousarray(colors))


class PlainLoop:
    """The trial as it is usually written."""

    def __init__(self, config: TrainingConfig, train: Drawings) -> None:
        rng = torch.Generator().manual_seed(config.seed)
        self.config = config
        self.generator = build_generator(config, rng).to(DEVICE)
        self.discriminator = build_discriminator(config, rng).to(DEVICE)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), config.lr_g, (config.beta1, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), config.lr_d, (config.beta1, 0.999))
        self.lines = torch.from_numpy(train.lines).to(DEVICE).float() / 127.5 - 1
        self.colors = torch.from_numpy(train.colors).to(DEVICE).float() / 127.5 - 1
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
        mirrored = (torch.rand(len(lines), generator=self.order) < 0.5)[:, None, None, None].to(DEVICE)
        return torch.where(mirrored, lines.flip(-1), lines), torch.where(mirrored, colors.flip(-1), colors)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    rows = measure(repeats=16 if options.quick else 60, steps=4)
    summary: dict[str, Any] = {"device": DEVICE, **SETTING}
    names = ("speedup", "speedup_low", "speedup_high")
    summary |= {name: rows[-1][name] for name in names} | {"speedup_float32": rows[1]["speedup"]}
    summary |= learning(seeds=2 if options.quick else 8, steps=40 if options.quick else 200)
    summary |= diagnosis(repeats=8 if options.quick else 30)
    finish(options, rows, summary)


def loops(seed: int, train: Drawings) -> dict[str, Callable[[int], Losses]]:
    """The loops to compare, the plain one first: called with a number of steps, they tell the mean costs of these."""
    config = TrainingConfig(schedule="constant", seed=seed, **SETTING)
    auto = replace(config, precision="auto")
    trainers = {"huetune float32": Trainer(config, train, DEVICE), "huetune auto": Trainer(auto, train, DEVICE)}
    if DEVICE == "cuda":
        trainers["huetune auto compiled"] = compiled = Trainer(auto, train, DEVICE)
        compiled.generator.compile()
        compiled.discriminator.compile()
    ours = {name: partial(trainer.train, look=False) for name, trainer in trainers.items()}
    return {"plain": PlainLoop(config, train).train, **ours}


def now() -> float:
    """Seconds, of the processor or, with a GPU at work, of the clock."""
    if DEVICE == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(repeats: int, steps: int) -> list[dict[str, Any]]:
    """Time the loops in turn, `repeats` times, so that other load meets all of them."""
    compared = loops(0, painted(256, SETTING["size"]))
    for loop in compared.values():
        loop(3)  # the warm-up
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for repeat in range(repeats):
        # Every other round backwards: none always runs after the same one.
        for name in list(compared)[:: 1 if repeat % 2 else -1]:
            start = now()
            compared[name](steps)
            seconds[name].append(now() - start)
    plain = np.array(seconds["plain"])
    return [
        {
            "loop": name,
            "images_per_second": SETTING["batch_size"] * steps / float(np.median(times)),
            **ratio_interval(plain, np.array(times)),
        }
        for name, times in seconds.items()
    ]


def learning(seeds: int, steps: int) -> dict[str, float]:
    """The reconstruction costs of the last quarter of `steps` steps, over the plain loop's of the same seed."""
    train = painted(256, SETTING["size"])
    costs = []
    for seed in range(seeds):
        compared = loops(seed, train)
        for loop in compared.values():
            loop(steps - steps // 4)
        costs.append([loop(steps // 4)["reconstruction"] for loop in compared.values()])
    plain, float32, *_, best = np.log(costs).T
    error = (best - plain).std(ddof=1) / np.sqrt(seeds)
    return {
        "loss_ratio": float(np.exp((best - plain).mean())),
        "loss_ratio_low": float(np.exp((best - plain).mean() - 1.96 * error)),
        "loss_ratio_high": float(np.exp((best - plain).mean() + 1.96 * error)),
        "loss_ratio_float32": float(np.exp((float32 - plain).mean())),
        "loss_spread_of_seeds": float(plain.std(ddof=1)),
        "loss_steps": steps,
        "loss_seeds": seeds,
    }


def diagnosis(repeats: int) -> dict[str, float]:
    """What it adds to a report's steps to look at the last of them, as a share, with a 95 % interval."""
    config = TrainingConfig(schedule="constant", **SETTING)
    trainer = Trainer(config, painted(256, config.size), DEVICE)
    trainer.train(3)

    def looked_at() -> None:
        trainer.train(1)
        trainer.examine()

    seconds: list[list[float]] = []
    for repeat in range(repeats):
        times = {}
        for what, work in [("step", lambda: trainer.train(1, look=False)), ("looked at", looked_at)][:: (-1) ** repeat]:
            start = now()
            work()
            times[what] = now() - start
        seconds.append([times["step"], times["looked at"]])
    step, looked = np.array(seconds).T
    rounds = np.random.default_rng(0).integers(0, repeats, (2000, repeats))
    extra = np.median(looked[rounds], axis=1) / np.median(step[rounds], axis=1) - 1
    low, share, high = np.quantile(extra, (0.025, 0.5, 0.975)) / config.steps_per_report
    return {"diagnosis_share": float(share), "diagnosis_share_low": float(low), "diagnosis_share_high": float(high)}


def ratio_interval(plain: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, float]:
    """Ratio of the medians, with a 95 % interval over resampled rounds (its times stay together)."""
    rounds = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    ratios = np.median(plain[rounds], axis=1) / np.median(ours[rounds], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    speedup = float(np.median(plain) / np.median(ours))
    return {"speedup": speedup, "speedup_low": float(low), "speedup_high": float(high)}


if __name__ == "__main__":
    main()
