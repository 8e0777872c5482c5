"""Which drawings are left out of a dataset, by measures of each; the reasons are few and fixed.

The help of `huetune prepare` shows the defaults, so nothing is imported here that takes time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorizer.preparing.look import Look

BITS = 128  # of `Look.likeness`
MOST_BITS = BITS // 8


class Unfit(StrEnum):
    """Why a drawing that could be read was left out."""

    SHAPES_DIFFER = "line and colours of different shape"
    SLIVER = "sliver"
    BLANK = "blank"
    WITHOUT_COLOUR = "without colour"
    INTRICATE = "too intricate"
    SMALL_SUBJECT = "subject too small"
    COPY = "exact duplicate"
    NEAR_COPY = "near duplicate"


@dataclass(frozen=True)
class Limits:
    """What a drawing has to keep to come into a dataset. 0 switches a limit off.

    The defaults leave out what is broken and little else: of 1,643 emoji, three whose line art is a filled shape.

    Attributes:
        aspect: the longer side at most so many times the shorter; beyond it is a sliver.
        ink: least mean darkness of the line drawing, 0 to 1 (a black page); below it is blank.
        contrast: least difference between two values of one colour channel, 0 to 255; below it is blank.
        colourfulness: least, by Hasler and Süsstrunk (2003): 0 is grey, 15 slightly colourful; below it is without
            colour. Off by default: an elephant is grey.
        density: largest share of the line drawing that is darker than mid-grey, 0 to 1; above it is too intricate.
        subject: least share of the picture that the box around all that is drawn covers, 0 to 1; below it the subject
            is too small.
        likeness: near duplicates differ in at most so many of 128 bits of a perceptual hash, of the line drawing and
            the colours. They come into one group, so that they never sit in two splits.
        drop_near: leave near duplicates out instead, all but the first by name.
    """

    aspect: float = 4.0
    ink: float = 0.001
    contrast: int = 8
    colourfulness: float = 0.0
    density: float = 0.5
    subject: float = 0.02
    likeness: int = 8
    drop_near: bool = False

    def __post_init__(self) -> None:
        for name in ("ink", "density", "subject"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Expected {name} from 0 to 1, a share, got {name}={getattr(self, name)}.")
        if self.aspect != 0 and not self.aspect >= 1:
            raise ValueError(f"Expected aspect of at least 1, or 0 for no limit, got aspect={self.aspect}.")
        if not self.colourfulness >= 0:
            raise ValueError(f"Expected colourfulness of at least 0, got colourfulness={self.colourfulness}.")
        if not 0 <= self.contrast <= 255:
            raise ValueError(f"Expected contrast from 0 to 255, got contrast={self.contrast}.")
        if not 0 <= self.likeness <= MOST_BITS:
            raise ValueError(
                f"Expected likeness from 0 to {MOST_BITS} bits of {BITS}, got likeness={self.likeness}. Further apart"
                " are drawings that do not look alike."
            )
        if self.drop_near and not self.likeness:
            raise ValueError(
                "Expected likeness above 0 with drop_near, got likeness=0, which finds no near duplicates."
            )

    def unfit(self, look: Look, width: int, height: int) -> tuple[Unfit, str] | None:
        """The first limit that a drawing breaks, with the value that breaks it; None: it is fit.

        Args:
            look: at the drawing.
            width, height: of the coloured original, in pixels.
        """
        longer = max(width, height) / min(width, height)
        at_most = (
            (Unfit.SLIVER, "the longer side over the shorter", longer, self.aspect),
            (Unfit.INTRICATE, "line density", look.density, self.density),
        )
        at_least = (
            (Unfit.BLANK, "ink", look.ink, self.ink),
            (Unfit.BLANK, "contrast of colours", look.contrast, self.contrast),
            (Unfit.WITHOUT_COLOUR, "colourfulness", look.colourfulness, self.colourfulness),
            (Unfit.SMALL_SUBJECT, "share of the picture", look.subject, self.subject),
        )
        for reason, measure, found, limit in at_most:
            if 0 < limit < found:
                return reason, f"{measure} {found:.3g}, at most {limit:g}"
        for reason, measure, found, limit in at_least:
            if found < limit:
                return reason, f"{measure} {found:.3g}, at least {limit:g}"
        return None
