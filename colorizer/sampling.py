"""Which drawings come when: an endless order of batches that can be saved and continued."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colorizer.splitting import part_of

if TYPE_CHECKING:
    from colorizer.dataset import Drawings


class Sampler:
    """Batches of drawings without replacement, epoch after epoch, each in a new order drawn from the seed.

    Where rare labels are to come more often, as many drawings as there are make an epoch, with replacement.

    Batches run on across the ends of epochs, so each is full even where there are fewer drawings than a batch
    holds.

    Args:
        drawings: lines (N, 1, S, S) and colors (N, 3, S, S), uint8; may be memory-mapped.
        batch_size: B.
        flip: mirror each drawing with probability 1/2.
        seed: of order and flips.
        fraction: share of the drawings that is used at all, by whole groups, see `part_of`.
        rare_labels: how much more often rare labels come, in [0, 1]: drawings are weighted by the number of those in
            use of their label to the power of minus this. Those without a label share one.

    Raises:
        ValueError: there are no drawings; or no labels, and `rare_labels` is above 0.
    """

    def __init__(
        self,
        drawings: "Drawings",
        batch_size: int,
        flip: bool,
        seed: int,
        fraction: float = 1.0,
        rare_labels: float = 0.0,
    ) -> None:
        if not len(drawings.lines):
            raise ValueError("Expected 1 drawing or more to learn from, got 0.")
        self._drawings = drawings
        self._rows = part_of(drawings.groups, fraction)
        self._weights = _label_weights(drawings, self._rows, rare_labels) if rare_labels else None
        self._batch_size = batch_size
        self._flip = flip
        self._rng = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch: lines (B, 1, S, S) and colors (B, 3, S, S), uint8, on the CPU."""
        while len(self._order) < self._batch_size:
            self._order = torch.cat((self._order, self._epoch()))
        chosen, self._order = self._rows[self._order[: self._batch_size].numpy()], self._order[self._batch_size :]
        lines, colors = self._drawings.lines[chosen], self._drawings.colors[chosen]
        if self._flip:
            mirrored = torch.rand(len(chosen), generator=self._rng).numpy() < 0.5
            lines[mirrored] = lines[mirrored, ..., ::-1]
            colors[mirrored] = colors[mirrored, ..., ::-1]
        return torch.from_numpy(lines), torch.from_numpy(colors)

    def _epoch(self) -> Tensor:
        if self._weights is None:
            return torch.randperm(len(self._rows), generator=self._rng)
        return torch.multinomial(self._weights, len(self._rows), replacement=True, generator=self._rng)

    def some(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Lines and colors of at most `count` of the drawings that are used, always the same; disturbs no order."""
        chosen = self._rows[np.linspace(0, len(self._rows) - 1, min(count, len(self._rows))).astype(np.intp)]
        return self._drawings.lines[chosen], self._drawings.colors[chosen]

    def state(self) -> dict[str, Tensor]:
        """What is left of the order, filled up with -1 to full length, and the generator of the rest."""
        missing = len(self._rows) - len(self._order)  # less than an epoch is ever left
        return {"order": F.pad(self._order, (0, missing), value=-1), "rng": self._rng.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self._order = state["order"][state["order"] >= 0]
        self._rng.set_state(state["rng"])


def _label_weights(drawings: "Drawings", rows: NDArray[np.int64], rare_labels: float) -> Tensor:
    """(M,), how often each of these rows comes, up to a factor."""
    if not drawings.labels:
        raise ValueError(
            f"Expected drawings with labels for rare_labels={rare_labels:g}, got drawings without. Prepare the dataset "
            "with --table CSV --label COLUMN, or set rare_labels=0."
        )
    _, label, count = np.unique([drawings.labels[row] for row in rows], return_inverse=True, return_counts=True)
    return torch.from_numpy(count[label].astype(np.float64) ** -rare_labels)


def to_unit(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 (B, C, H, W) in [0, 255] to float32 in [-1, 1] on `device`, in channels_last.

    The bytes travel, not the floats: a quarter of the traffic to a GPU.
    """
    return pixels.to(device, non_blocking=True).to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def to_floats(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 in [0, 255] to float32 in [-1, 1], the same numbers as `to_unit`'s."""
    values = pixels.astype(np.float32)
    values /= 127.5
    values -= 1
    return values


def to_pixels(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The inverse, of values clipped to [-1, 1]."""
    pixels: NDArray[np.uint8] = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    return pixels
