"""Which drawings are learnt from, and how they are shown."""

from dataclasses import dataclass

from colorizer.augment import Moves, Tints
from colorizer.pens import GIVEN, check_styles
from colorizer.settings.rules import at_least_one, expect, not_negative

# Every drawing as it was prepared, each time.
UNCHANGED = {
    "flip": False,
    "line_styles": GIVEN,
    "hint_keep": 0.0,
    "hint_keep_end": 0.0,
    "rotate": 0.0,
    "shift": 0.0,
    "crop": 1.0,
    "blur": 0.0,
    "hue": 0.0,
    "saturation": 0.0,
    "exposure": 0.0,
    "rare_labels": 0.0,
}


@dataclass(frozen=True)
class DataSettings:
    """The drawings. Those of the validation split are always shown as they were prepared, without hints.

    Attributes:
        batch_size: drawings a step.
        size: height and width of the training drawings in pixels.
        flip: mirror half of the drawings, drawn anew each time.
        data_fraction: share of the training drawings that is learnt from, in (0, 1]: the same drawings for every
            trial, and a smaller share is part of a larger one.
        line_styles: pens that lines are drawn by, with commas between, one drawn anew for each drawing each time:
            "given" are the drawing's own lines; "dilation", "xdog" and "threshold" are drawn from its colours, see
            `pens`. One that is named twice comes twice as often.
        hint_points: colours told at up to so many random points of a drawing, 0 or more. From 1 on the generator sees
            four more channels, which are zero where nothing is told. The discriminator sees no hints.
        hint_keep, hint_keep_end: chance that a point is told at the first step and at the last, in [0, 1]; between them
            it changes evenly. By default a training begins with hints and ends without.
        rotate: drawings are turned by up to so many degrees, either way; in [0, 45].
        shift: and shifted by up to this share of the side, in each direction; in [0, 0.5).
        crop: smallest share of the side that is cut out and scaled back to the whole, in (0, 1]; 1 cuts nothing.
        blur: the lines alone are blurred by a Gaussian of up to so many pixels, in [0, 10].
        hue: colours are turned around the axis of greys by up to so many degrees, either way; in [0, 180].
        saturation: and made more or less vivid by up to this share, in [0, 1].
        exposure: and lighter or darker by up to so many stops, in [0, 3]. White stays white in all three.
        rare_labels: how much more often drawings of rare labels are shown, in [0, 1]: weights are the number of
            drawings of a label to the power of minus this, so that 1 shows all labels equally often. Above 0 drawings
            come with replacement.
    """

    batch_size: int = 8
    size: int = 48
    flip: bool = True
    data_fraction: float = 1.0
    line_styles: str = GIVEN
    hint_points: int = 0
    hint_keep: float = 1.0
    hint_keep_end: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    crop: float = 1.0
    blur: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    exposure: float = 0.0
    rare_labels: float = 0.0

    def check_data(self) -> None:
        """Raise ValueError for a value that no drawing could be shown by."""
        at_least_one(["batch_size", "size"], self)
        for name in ("data_fraction", "crop"):
            expect(0 < getattr(self, name) <= 1, f"0 < {name} <= 1", name, self)
        check_styles(self.line_styles)
        not_negative(["hint_points"], self)
        for name in ("hint_keep", "hint_keep_end", "saturation", "rare_labels"):
            expect(0 <= getattr(self, name) <= 1, f"0 <= {name} <= 1", name, self)
        expect(0 <= self.shift < 0.5, "0 <= shift < 0.5", "shift", self)
        for name, most in {"rotate": 45, "blur": 10, "hue": 180, "exposure": 3}.items():
            expect(0 <= getattr(self, name) <= most, f"0 <= {name} <= {most}", name, self)

    @property
    def hints(self) -> bool:
        """Whether the generator has channels for hints."""
        return self.hint_points > 0

    @property
    def moves(self) -> Moves:
        """How far drawings are moved."""
        return Moves(self.rotate, self.shift, self.crop)

    @property
    def tints(self) -> Tints:
        """How far colours are changed."""
        return Tints(self.hue, self.saturation, self.exposure)

    def hint_share(self, done: float) -> float:
        """The chance that a point is told once this share of the training is done, in [0, 1]."""
        return self.hint_keep + (self.hint_keep_end - self.hint_keep) * done
