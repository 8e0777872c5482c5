"""What a training is shown, batch by batch: drawings in their order, in other pens, moved, in other colours, dotted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from colorizer.augment import blurred, moved, tinted
from colorizer.config import TrainingConfig
from colorizer.hints import dotted
from colorizer.pens import GIVEN, drawn
from colorizer.sampling import Sampler, to_unit

if TYPE_CHECKING:
    from colorizer.dataset import Drawings


class Batch(NamedTuple):
    """B drawings in [-1, 1]: lines (B, 1, H, W), colors (B, 3, H, W), and `given` to the generator.

    That is the lines or, where there are hints, lines and hints, (B, 5, H, W).
    """

    lines: Tensor
    colors: Tensor
    given: Tensor


class Showing:
    """The endless row of batches that a config makes of drawings; it can be saved and continued.

    Pens draw from the true colours, then lines and colours are moved together, then colours are changed alone and lines
    blurred alone, and of all that hints are taken. What is switched off is not computed, and draws no random number.

    Args:
        config: the hyperparameters.
        train: the drawings to learn from, cut to the config's `data_fraction`.
        device: where batches are made.

    Attributes:
        sampler: which drawings come when.

    Raises:
        ValueError: rare labels are to count, and drawings have none.
    """

    def __init__(self, config: TrainingConfig, train: "Drawings", device: torch.device) -> None:
        self.sampler = Sampler(
            train, config.batch_size, config.flip, config.seed, config.data_fraction, config.rare_labels
        )
        self._config = config
        self._device = device
        self._changes = bool(config.line_styles != GIVEN or config.moves or config.tints or config.blur)
        random = self._changes or config.hints
        self._rng = torch.Generator().manual_seed(config.seed) if random else None

    def next(self, step: int) -> Batch:
        """The next batch, for the step of this number, counted from 0; the share of hints that are told goes by it."""
        lines, colors = (to_unit(part, self._device) for part in self.sampler.next())
        if self._rng is None:
            return Batch(lines, colors, lines)
        if self._changes:
            shown = self._changed((lines + 1) / 2, (colors + 1) / 2, self._rng)
            lines, colors = ((2 * part - 1).contiguous(memory_format=torch.channels_last) for part in shown)
        if not self._config.hints:
            return Batch(lines, colors, lines)
        share = self._config.hint_share(min(1.0, step / max(1, self._config.total_steps - 1)))
        hints = dotted(lines, colors, self._config.hint_points, share, self._rng)
        given = torch.cat((lines, hints), dim=1).contiguous(memory_format=torch.channels_last)
        return Batch(lines, colors, given)

    def _changed(self, lines: Tensor, colors: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Lines (B, 1, H, W) and colours (B, 3, H, W), both in [0, 1]."""
        config = self._config
        if config.line_styles != GIVEN:
            lines = drawn(lines, colors, config.line_styles, rng)
        if config.moves:
            both = moved(torch.cat((lines, colors), dim=1), config.moves, rng)
            lines, colors = both[:, :1], both[:, 1:]
        if config.tints:
            colors = tinted(colors, config.tints, rng)
        if config.blur:
            lines = blurred(lines, config.blur, rng)
        return lines, colors

    def state(self) -> dict[str, Tensor]:
        """That of the sampler and, where anything is drawn beside it, of the generator for that."""
        shown = {} if self._rng is None else {"shown": self._rng.get_state()}
        return {**self.sampler.state(), **shown}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self.sampler.load_state(state)
        if self._rng is not None:
            self._rng.set_state(state["shown"])
