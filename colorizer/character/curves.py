"""Smooth curves as polylines: arrays (n, 2) of points x, y, with x to the right and y down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]  # (n, 2)


def smooth(points: ArrayLike, *, closed: bool = True, steps: int = 9) -> Points:
    """A Catmull-Rom curve through `points` (n, 2). A point given twice is a corner."""
    p = np.asarray(points, dtype=np.float64)
    before, beyond = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    padded = np.concatenate([before, p, beyond])
    quads = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    quads = quads[(quads[:, 1] != quads[:, 2]).any(axis=1)]  # between the copies of a corner lies nothing
    curve: Points = (_catmull_rom(steps) @ quads).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


@cache
def _catmull_rom(steps: int) -> NDArray[np.float64]:
    """The weights of four points in a row for `steps` points from the second towards the third."""
    t = np.arange(steps) / steps
    return np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1) / 2


def points(path: str) -> Points:
    """The points of a path such as "0,0! 1,.5 0,1": each x,y; with a ! it comes twice and so is a corner."""
    words = path.split()
    xy = np.array([word.removesuffix("!").split(",") for word in words], dtype=np.float64)
    return np.repeat(xy, [2 if word.endswith("!") else 1 for word in words], axis=0)


@cache
def outline(path: str, *, closed: bool = True) -> Points:
    """The smooth curve through the `points` of a path, read-only."""
    curve = smooth(points(path), closed=closed)
    curve.flags.writeable = False
    return curve


def star(x: float, y: float, radius: float) -> Points:
    """A five-pointed star about (x, y)."""
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2, 0.46, 1.0) * radius
    return np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], 1)


def bezier(start: ArrayLike, control: ArrayLike, end: ArrayLike, steps: int = 8) -> Points:
    """A quadratic Bezier curve, (steps + 1, 2)."""
    t = np.linspace(0, 1, steps + 1)[:, None]
    a, b, c = (np.asarray(p, dtype=np.float64) for p in (start, control, end))
    curve: Points = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    return curve


def ellipse(x: float, y: float, rx: float, ry: float, *, turn: float = 0.0, steps: int = 26) -> Points:
    """An ellipse about (x, y), turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return shifted(rotated(np.stack([rx * np.cos(angle), ry * np.sin(angle)], 1), turn), x, y)


def limb(spine: ArrayLike, widths: Sequence[float], ends: tuple[float, float] = (1.0, 1.0)) -> Points:
    """A closed tube of half-widths `widths` (spread evenly along it) about a curve through `spine`.

    ends: how far its two ends bulge, from 0 (cut straight) to 1 (round).
    """
    line = smooth(spine, closed=False, steps=8)
    at = np.linspace(0, 1, len(line))
    stations = np.stack([np.linspace(0, 1, len(widths)), np.asarray(widths)], 1)
    half = np.interp(at, *smooth(stations, closed=False, steps=5).T)[:, None]
    along, normal = frame(line)
    cap = np.linspace(-np.pi / 2, np.pi / 2, 9)[1:-1, None]
    end = line[-1] + half[-1] * (ends[1] * np.cos(cap) * along[-1] + np.sin(cap) * normal[-1])
    start = line[0] - half[0] * (ends[0] * np.cos(cap) * along[0] + np.sin(cap) * normal[0])
    return np.concatenate([line - half * normal, end, (line + half * normal)[::-1], start])


def shifted(points: ArrayLike, x: float, y: float) -> Points:
    """`points` moved by (x, y)."""
    moved_points: Points = np.asarray(points, dtype=np.float64) + np.array((x, y))
    return moved_points


def rotated(points: ArrayLike, angle: float, about: ArrayLike = (0.0, 0.0)) -> Points:
    """`points` turned by `angle` radians (clockwise to the eye, y being down) about a point."""
    centre = np.asarray(about, dtype=np.float64)
    c, s = np.cos(angle), np.sin(angle)
    turned: Points = (np.asarray(points, dtype=np.float64) - centre) @ np.array([[c, s], [-s, c]]) + centre
    return turned


def frame(line: Points) -> tuple[Points, Points]:
    """Unit vectors along a line and across it, at each of its points."""
    along = np.concatenate([line[1:2] - line[:1], line[2:] - line[:-2], line[-1:] - line[-2:-1]])
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    return along, np.stack([-along[:, 1], along[:, 0]], axis=1)
