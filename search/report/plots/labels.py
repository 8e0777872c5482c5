"""Names beside dots that never lie on each other, on a telephone or on a wide screen."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.report.plots.theme import FONT, LIGHT

# Not a font: the one mark on a text that Plotly hands on to the page, whose styles hide such texts where it is narrow.
WIDE_ONLY = f"wide-only, {FONT}"
_NARROW, _WIDE = (270, 300), (640, 300)  # pixels of the plot, at least
_LETTER, _LINE, _GAP = 6.7, 16, 9
_SIDES = {
    "top center": (-0.5, -1.0, 0, -_GAP),
    "top right": (0.0, -1.0, 3, -_GAP / 2),
    "top left": (-1.0, -1.0, -3, -_GAP / 2),
    "bottom center": (-0.5, 0.0, 0, _GAP),
    "middle right": (0.0, -0.5, _GAP, 0),
    "middle left": (-1.0, -0.5, -_GAP, 0),
    "bottom right": (0.0, 0.0, 3, _GAP / 2),
    "bottom left": (-1.0, 0.0, -3, _GAP / 2),
}
_Box = tuple[float, float, float, float]  # left, top, right, bottom


def add_names(
    figure: go.Figure,
    points: Sequence[tuple[float, float]],
    places: Sequence[tuple[float, float]],
    names: Sequence[str],
    first: Sequence[int],
) -> None:
    """Name dots where there is room; the rest are told by hovering.

    Args:
        points: of the dots, on the axes.
        places: the same as shares of the plot, from its left and from its bottom.
        names: safe for a figure.
        first: the order in which dots are named.
    """
    narrow = _sides(places, names, first, _NARROW, {})
    wide = _sides(places, names, first, _WIDE, narrow)
    extra = {index: side for index, side in wide.items() if index not in narrow}
    for sides, font in ((narrow, FONT), (extra, WIDE_ONLY)):
        if sides:
            _add(figure, points, names, sides, font)


def _add(
    figure: go.Figure,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    sides: dict[int, str],
    font: str,
) -> None:
    figure.add_scatter(
        x=[points[index][0] for index in sides],
        y=[points[index][1] for index in sides],
        mode="markers+text",
        text=[names[index] for index in sides],
        textposition=list(sides.values()),
        textfont={"size": 12, "color": LIGHT.ink, "family": font},
        marker={"size": 11, "opacity": 0},  # keeps the text at a distance from the dot that it names
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )


def _sides(
    places: Sequence[tuple[float, float]],
    names: Sequence[str],
    first: Sequence[int],
    size: tuple[int, int],
    given: dict[int, str],
) -> dict[int, str]:
    """Dot -> the side of it where its name lies on no other name and on no dot, at this size of the plot."""
    width, height = size
    centres = [(x * width, (1 - y) * height) for x, y in places]
    dots = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    sides = dict(given)
    taken = [_box(centres[index], names[index], side) for index, side in given.items()]
    for index in first:
        if index in sides:
            continue
        for side in _SIDES:
            box = _box(centres[index], names[index], side)
            others = [*taken, *(dot for other, dot in enumerate(dots) if other != index)]
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not any(_meet(box, other) for other in others):
                sides[index] = side
                taken.append(box)
                break
    return sides


def _box(centre: tuple[float, float], name: str, side: str) -> _Box:
    across, down, right, below = _SIDES[side]
    width = _LETTER * len(name)
    left, top = centre[0] + across * width + right, centre[1] + down * _LINE + below
    return left, top, left + width, top + _LINE


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
