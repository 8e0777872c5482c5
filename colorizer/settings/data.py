"""Which drawings are learnt from, and how they are shown."""

from dataclasses import dataclass

from colorizer.settings.rules import at_least_one, expect


@dataclass(frozen=True)
class DataSettings:
    """The drawings.

    Attributes:
        batch_size: drawings a step.
        size: height and width of the training drawings in pixels.
        flip: mirror half of the drawings, drawn anew each time.
        data_fraction: share of the training drawings that is learnt from, in (0, 1]: the same drawings for every
            trial, and a smaller share is part of a larger one.
    """

    batch_size: int = 8
    size: int = 48
    flip: bool = True
    data_fraction: float = 1.0

    def check_data(self) -> None:
        """Raise ValueError for a value that no drawing could be shown by."""
        expect(0 < self.data_fraction <= 1, "0 < data_fraction <= 1", "data_fraction", self)
        at_least_one(["batch_size", "size"], self)
