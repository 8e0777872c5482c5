"""The GAN as a Ray Tune trial: the one file of the colorizer that imports ray.

An actor takes one trial after another. All that a trial owns is the `Trainer` it is given; the drawings are decoded
once per machine and mapped by every trial on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.result import TRAINING_ITERATION

from colorizer import baselines
from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset
from colorizer.diagnosis import verdict
from colorizer.seeds import isolate
from colorizer.training import Trainer


def _threads(resources: Any) -> int:
    """One thread for every CPU the trial has been given, so that trials beside each other do not fight over cores."""
    granted = resources.required_resources.get("CPU", 1) if resources is not None else 1
    return max(1, int(granted))


def _forget_peaks() -> None:
    """Peak memory counts from here on, whatever an earlier trial took."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): sets the peak to what is resident now
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peaks() -> dict[str, float]:
    """Peak memory of this process in MiB: resident (Linux only), and torch's on the GPU."""
    peaks = {}
    with suppress(OSError):
        found = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
        if found:
            peaks["memory_mib"] = int(found[0].split()[1]) / 1024
    if torch.cuda.is_available():
        peaks["gpu_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peaks


def training_config(config: Mapping[str, Any]) -> TrainingConfig:
    """The training that a trial's configuration asks for.

    Raises:
        ValueError: it names something else than hyperparameters, `data` and `training_iteration`, or a value is wrong.
    """
    settings = {name: value for name, value in config.items() if name not in {"data", TRAINING_ITERATION}}
    if TRAINING_ITERATION in config:
        settings["total_reports"] = config[TRAINING_ITERATION]
    return TrainingConfig.from_dict(settings)


class ColorizerTrial(tune.Trainable):
    """Trains one configuration; every report scores it on the validation split.

    The configuration holds `data`, the absolute path or the address of a prepared dataset that all machines can read,
    any fields of `TrainingConfig`, and where a search method gives the trial a length of its own `training_iteration`,
    which stands in for `total_reports`. A report holds the mean losses since the one before and, of the validation
    split, mse, psnr (dB), ssim, ciede2000 and colourfulness (ratio to the true colours). Beside them stand what trivial
    predictors score there, as baseline/NAME/METRIC, see `baselines`; how the training fares, see `Examination`, with a
    `verdict` in words; and the trial's peak memory so far: memory_mib of its process, with all that Python and earlier
    trials hold there, and gpu_memory_mib.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial; nothing of an earlier one in this process plays a part."""
        training = training_config(config)
        isolate(training.seed, threads=_threads(self.trial_resources))
        _forget_peaks()
        dataset = Dataset.open(config["data"])
        self._validation = dataset.split("val", training.size)
        self._baselines = baselines.reported(dataset, "val", training.size)
        self._scores: dict[str, float] = {}
        self._trainer = Trainer(
            training,
            dataset.split("train", training.size),
            device="cuda" if torch.cuda.is_available() else "cpu",
            data={"path": dataset.address, "digest": dataset.digest, "statistics": dataset.statistics},
        )

    def step(self) -> dict[str, Any]:
        """Train until the next report is due, and score."""
        config = self._trainer.config
        losses = self._trainer.train(config.steps_per_report)
        self._scores = self._trainer.evaluate(self._validation)
        self._trainer.hear(self._scores)
        seen = {**self._trainer.examine(), "val_mse": self._scores["mse"]}
        said = verdict({**seen, **self._scores, **self._baselines})
        done = self._trainer.steps >= config.total_steps
        return {**losses, **self._scores, **seen, **self._baselines, "verdict": said, **_peaks(), "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the trial whole, to go on from or to predict with."""
        self._trainer.save(checkpoint_dir, self._scores)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on where the checkpoint was written."""
        self._trainer.restore(checkpoint_dir)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in this actor."""
        self.setup(new_config)
        return True
