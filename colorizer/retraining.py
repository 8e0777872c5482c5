"""Training again as a checkpoint was trained: on chosen drawings, on other colours, from another seed.

For out-of-fold predictions, models on disjoint parts of the data, and students that learn an ensemble's colours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset, Drawings
from colorizer.sampling import to_pixels
from colorizer.seeds import isolate
from colorizer.settings.networks import ARCHITECTURE
from colorizer.training import Trainer

_OVERSHOOT = 1.0  # what a blend may lie beyond white or black; more is another unit


def retraining_config(config: TrainingConfig, seed: int, settings: Mapping[str, Any] | None = None) -> TrainingConfig:
    """The config of a training that is like another, from a fresh seed.

    Its `data_fraction` is 1: who chooses the drawings has chosen already.

    Args:
        config: of the other.
        seed: 0 <= seed < 2**32.
        settings: fields that are to be others, `data_fraction` if need be, but not the seed.

    Raises:
        ValueError: an unknown name, a value out of its range, or a seed among the settings.
    """
    settings = dict(settings or {})
    if "seed" in settings:
        raise ValueError(f"Expected the seed as seed={seed}, got another among the settings: {settings['seed']!r}.")
    return TrainingConfig.from_dict({**config.to_dict(), "data_fraction": 1.0, **settings, "seed": seed})


def default_architecture() -> dict[str, Any]:
    """The fields of `TrainingConfig` by which the networks are of the default size and kind."""
    defaults = TrainingConfig().to_dict()
    return {name: defaults[name] for name in (*ARCHITECTURE, "dropout")}


def retrain(
    dataset: Dataset,
    config: TrainingConfig,
    rows: ArrayLike,
    folder: str | Path,
    *,
    targets: NDArray[np.floating[Any]] | None = None,
    device: str | torch.device = "cpu",
    threads: int | None = None,
) -> None:
    """Train a model of `config` to its full length, and write its last state as a checkpoint.

    All rows of the training split, and the seed of a trial, give the trial's own weights, bit for bit on a CPU.

    Args:
        dataset: the drawings.
        config: of the training; its `size` is that of the drawings.
        rows: (M,) different positions in the training split.
        folder: where the checkpoint goes, with the scores of the validation split, if that has drawings.
        targets: (M, 3, size, size) float, colours to learn instead of the true ones. They are clipped to [-1, 1] and
            rounded to uint8, as the true ones are: to a PSNR of 59 dB, where models come to some 20 dB.
        device: "cpu", "cuda", ...
        threads: of a process of its own, which is put into the state that trials start in (see `seeds.isolate`);
            None leaves this process as it is, so that bits may depend on how many threads it uses.

    Raises:
        DatasetError: the drawings cannot be read.
        ValueError: rows or targets that cannot be trained on.
        Diverged: a loss was not finite.
    """
    if threads is not None:
        isolate(config.seed, threads)
    everything = dataset.split("train", config.size)
    chosen = _chosen(everything, _checked_rows(rows, len(everything)), targets)
    # Whoever predicts a lot may have switched gradients off; this switches them on in either way.
    with torch.inference_mode(False):
        origin = {"path": dataset.address, "digest": dataset.digest, "statistics": dataset.statistics}
        trainer = Trainer(config, chosen, device, origin)
        validation = dataset.split("val", config.size)
        for _ in range(config.total_reports):
            trainer.train(config.steps_per_report)
            if config.schedule == "plateau":  # no other goes by the scores
                trainer.hear(trainer.evaluate(validation))
        scores = trainer.evaluate(validation) if len(validation) else None
    learnt = {"drawings": len(chosen), "of": len(everything), "colours": "true" if targets is None else "given"}
    trainer.save(folder, scores, learnt=learnt)


def _checked_rows(rows: ArrayLike, count: int) -> NDArray[np.intp]:
    array = np.asarray(rows)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"Expected rows as 1 or more whole numbers, got {array.dtype} of shape {array.shape}. "
            "A mask becomes rows by np.flatnonzero(mask)."
        )
    beyond = array[(array < 0) | (array >= count)]
    if len(beyond):
        raise ValueError(f"Expected rows of the {count} training drawings, 0 to {count - 1}, got {beyond[0]}.")
    values, times = np.unique(array, return_counts=True)
    if times.max() > 1:
        raise ValueError(
            f"Expected each row once, got {values[times.argmax()]} {times.max()} times. Use np.unique(rows)."
        )
    return array.astype(np.intp)


def _chosen(drawings: Drawings, rows: NDArray[np.intp], targets: NDArray[np.floating[Any]] | None) -> Drawings:
    colors = None if targets is None else _pixels(targets, (len(rows), *drawings.colors.shape[1:]))
    return drawings.chosen(rows, colors)


def _pixels(targets: NDArray[np.floating[Any]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if targets.shape != shape or not np.issubdtype(targets.dtype, np.floating):
        raise ValueError(f"Expected targets as floats of shape {shape}, got {targets.dtype} of shape {targets.shape}.")
    furthest = np.abs(targets).max()
    if not furthest <= 1 + _OVERSHOOT:  # nor NaN
        raise ValueError(f"Expected targets in [-1, 1], got values as far as {furthest:g} from zero.")
    return to_pixels(targets)
