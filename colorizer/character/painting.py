"""The brush: marks on paper, painted as a line drawing and as a coloured one.

It knows nothing of what is drawn. Lengths are in units of the drawing (x right, y down); only the thickness
of lines is in pixels of the finished picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from colorizer.character.curves import Points, frame, rotated

RGB = tuple[int, int, int]

SUPERSAMPLING = 4
INK: RGB = (38, 28, 44)


@dataclass(frozen=True)
class Shape:
    """A part of the drawing: the union of closed `outlines`, which hides what lies behind it.

    line: thickness of its outline in line widths; 0 leaves the outline out.
    shade: the shadow on the part lies where the part, moved by this vector, no longer covers itself.
    solid: filled with ink instead of colour.
    """

    outlines: tuple[Points, ...]
    part: str
    line: float = 1.0
    shade: tuple[float, float] | None = None
    solid: bool = False


@dataclass(frozen=True)
class Stroke:
    """An open line of ink. Thickness: `line` line widths + `breadth` units, less towards the tapered ends."""

    points: Points
    line: float = 1.0
    breadth: float = 0.0
    taper: tuple[bool, bool] = (True, True)


@dataclass(frozen=True)
class Tint:
    """Colour without a line: what of `outlines` lies on parts `over` becomes `part` (`dark`: in shadow)."""

    outlines: tuple[Points, ...]
    part: str
    over: tuple[str, ...]
    dark: bool = False


Mark = Shape | Stroke | Tint


def moved(marks: Iterable[Mark], about: tuple[float, float], angle: float = 0.0, scale: float = 1.0) -> list[Mark]:
    """The marks turned by `angle` radians and enlarged by `scale` about a point."""
    centre = np.asarray(about)

    def move(points: Points) -> Points:
        turned: Points = (rotated(points, angle, centre) - centre) * scale + centre
        return turned

    result: list[Mark] = []
    for mark in marks:
        if isinstance(mark, Stroke):
            result.append(replace(mark, points=move(mark.points), breadth=mark.breadth * scale))
        else:
            result.append(replace(mark, outlines=tuple(move(outline) for outline in mark.outlines)))
    return result


def bounds(marks: Iterable[Mark]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of everything marked, in units."""
    points = np.concatenate(
        [p for mark in marks for p in ((mark.points,) if isinstance(mark, Stroke) else mark.outlines)]
    )
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True)
class View:
    """Where a drawing lies: (x, y) units are at ((x, y) - (x0, y0)) * scale, in sides of the paper."""

    x0: float
    y0: float
    scale: float
    mirrored: bool = False

    def __call__(self, points: Points, side: int) -> Points:
        on_paper: Points = (points - (self.x0, self.y0)) * (self.scale * side)
        if self.mirrored:
            on_paper[:, 0] = side - on_paper[:, 0]
        return on_paper


class Canvas:
    """A square of paper of `size` pixels; `tones` gives each part's colour in light and in shadow."""

    def __init__(self, size: int, view: View, tones: Mapping[str, tuple[RGB, RGB]]) -> None:
        self._side = size * SUPERSAMPLING
        self._view = view
        self._tone = {part: 2 * number + 1 for number, part in enumerate(tones)}  # in shadow: the next tone
        self._colours = [(255, 255, 255), *(colour for pair in tones.values() for colour in pair)]
        # Lines thinner than most of a pixel would fade to grey in small pictures.
        self._line_width = max(size / 75, 0.8) * SUPERSAMPLING
        self._unit = view.scale * self._side
        self._ink = Image.new("L", (self._side, self._side), 255)
        self._flat = Image.new("L", (self._side, self._side), 0)
        self._pen = ImageDraw.Draw(self._ink)
        self._fill = ImageDraw.Draw(self._flat)

    def paint(self, marks: Iterable[Mark]) -> None:
        """Paint the marks, the first lowest."""
        for mark in marks:
            if isinstance(mark, Shape):
                self._shape(mark)
            elif isinstance(mark, Stroke):
                self._stroke(mark)
            else:
                self._tint(mark)

    def line(self) -> NDArray[np.uint8]:
        """The line drawing, (size, size): 255 paper, 0 line."""
        return np.array(self._ink.reduce(SUPERSAMPLING))

    def color(self) -> NDArray[np.uint8]:
        """The coloured drawing, (size, size, 3): flat colours under the lines of `line()`."""
        paint = self._flat.copy()
        paint.putpalette([channel for colour in self._colours for channel in colour])
        flat = np.asarray(paint.convert("RGB").reduce(SUPERSAMPLING), dtype=np.float32)
        paper = self.line()[..., None] / np.float32(255)
        return np.rint(flat * paper + np.array(INK, dtype=np.float32) * (1 - paper)).astype(np.uint8)

    def _shape(self, mark: Shape) -> None:
        outlines = [self._view(outline, self._side) for outline in mark.outlines]
        if mark.line:
            for outline in outlines:
                self._outline(outline, mark.line * self._line_width)
        for outline in outlines:
            corners = outline.ravel().tolist()
            self._pen.polygon(corners, fill=0 if mark.solid else 255)
            self._fill.polygon(corners, fill=self._tone[mark.part])
        if mark.shade is not None:
            self._shadow(mark, outlines)

    def _outline(self, outline: Points, width: float) -> None:
        """A line just outside `outline`: twice as wide, for the shape will cover its inner half."""
        outline = outline[(outline != _next(outline)).any(axis=1)]
        following = _next(outline)
        clockwise = np.sign(np.sum(outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]))
        after = following - outline
        after /= np.hypot(after[:, :1], after[:, 1:])
        before = np.concatenate([after[-1:], after[:-1]])
        turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        outwards = clockwise * np.stack([after[:, 1] + before[:, 1], -after[:, 0] - before[:, 0]], 1) / 2
        # A wide polyline gapes on the outer side of its turns: the outline moved outwards fills the gentle
        # ones, discs round the sharp ones.
        self._pen.polygon((outline + width * outwards).ravel().tolist(), fill=0)
        closed = [*outline.ravel().tolist(), *outline[0].tolist()]
        self._pen.line(closed, fill=0, width=max(1, round(2 * width)))
        sharp = (np.abs(turn) > 0.35) | (np.sum(before * after, axis=1) < 0)
        for x, y in outline[sharp].tolist():
            self._pen.ellipse((x - width, y - width, x + width, y + width), fill=0)

    def _shadow(self, mark: Shape, outlines: list[Points]) -> None:
        box = self._box(outlines)
        if box is None or mark.shade is None:
            return
        dx, dy = mark.shade
        shift = np.array([-dx if self._view.mirrored else dx, dy]) * self._unit
        here, lit = _mask(box, outlines), _mask(box, [outline + shift for outline in outlines])
        self._flat.paste(self._tone[mark.part] + 1, box, ImageChops.subtract(here, lit))

    def _tint(self, mark: Tint) -> None:
        outlines = [self._view(outline, self._side) for outline in mark.outlines]
        box = self._box(outlines)
        if box is None:
            return
        tones = {self._tone[part] + dark for part in mark.over for dark in (0, 1)}
        allowed = self._flat.crop(box).point([255 if tone in tones else 0 for tone in range(256)])
        where = ImageChops.darker(_mask(box, outlines), allowed)
        self._flat.paste(self._tone[mark.part] + mark.dark, box, where)

    def _stroke(self, mark: Stroke) -> None:
        points = self._view(mark.points, self._side)
        half = (mark.line * self._line_width + mark.breadth * self._unit) / 2
        t = np.linspace(0, 1, len(points))
        rise = np.minimum(np.sqrt(t * 2.2), 1) if mark.taper[0] else np.ones_like(t)
        fall = np.minimum(np.sqrt((1 - t) * 2.2), 1) if mark.taper[1] else np.ones_like(t)
        normal = frame(points)[1] * (half * np.maximum(rise * fall, 0.15))[:, None]
        self._pen.polygon(np.concatenate([points + normal, (points - normal)[::-1]]).ravel().tolist(), fill=0)

    def _box(self, outlines: list[Points]) -> tuple[int, int, int, int] | None:
        points = np.concatenate(outlines)
        left, top = (max(0, int(low)) for low in points.min(axis=0))
        right, bottom = (min(self._side, int(high) + 2) for high in points.max(axis=0))
        return (left, top, right, bottom) if left < right and top < bottom else None


def _next(outline: Points) -> Points:
    """The point that follows each point of a closed outline."""
    return np.concatenate([outline[1:], outline[:1]])


def _mask(box: tuple[int, int, int, int], outlines: list[Points]) -> Image.Image:
    left, top, right, bottom = box
    mask = Image.new("L", (right - left, bottom - top), 0)
    pen = ImageDraw.Draw(mask)
    for outline in outlines:
        pen.polygon((outline - (left, top)).ravel().tolist(), fill=255)
    return mask
