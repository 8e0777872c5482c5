"""Her hair, behind the head and in front of it, in head radii about the head's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from colorizer.character.curves import Points, bezier, ellipse, limb, outline, points, shifted, smooth
from colorizer.character.face import SIDES, turned
from colorizer.character.look import Look
from colorizer.character.painting import Mark, Shape, Stroke, Tint


def locks(valleys: ArrayLike, tips: ArrayLike) -> Points:
    """The edge of n locks of hair, leaves from valley (n + 1, 2) to tip (n, 2) to valley."""
    v, p = np.asarray(valleys, dtype=np.float64), np.asarray(tips, dtype=np.float64)
    pieces = []
    for left, tip, right in zip(v[:-1], p, v[1:], strict=True):
        pieces.append(bezier(left, (left[0] * 0.85 + tip[0] * 0.15, left[1] * 0.3 + tip[1] * 0.7), tip))
        pieces.append(bezier(tip, (right[0] * 0.75 + tip[0] * 0.25, right[1] * 0.35 + tip[1] * 0.65), right))
    return np.concatenate(pieces)


def draw_back_hair(look: Look) -> list[Mark]:
    """What hangs behind the face and, when long, behind the body."""
    marks: list[Mark] = []
    shade = (0.1, -0.12)
    if look.hair == "twin tails":
        for side in SIDES:
            marks += _tail((side * 1.04, -0.46), side, look)
    elif look.hair == "ponytail":
        marks += _tail((-0.86, -0.74), -1, look)
    elif look.hair == "buns":
        for side in SIDES:
            x, y = side * 0.74, -0.98
            marks.append(Shape((ellipse(x, y, 0.38, 0.36),), "hair", shade=shade))
            marks.append(Stroke(bezier((x - 0.2, y + 0.1), (x - 0.1, y - 0.3), (x + 0.2, y - 0.12)), 0.7))
            marks.append(Stroke(bezier((x - 0.02, y + 0.1), (x + 0.02, y - 0.12), (x + 0.22, y + 0.02)), 0.7))
    marks.append(Shape((_back(look),), "hair", shade=shade))
    marks.append(Tint((ellipse(0.0, 0.55, 0.98, 1.0),), "hair", ("hair",), dark=True))
    if look.hair == "long":
        bottom = 1.55 + 0.75 * look.length
        for x in (-0.82, -0.6, 0.62, 0.84):
            strand = bezier((x, bottom - 0.75), (x * 1.12, bottom - 0.5), (x + look.sway, bottom - 0.2))
            marks.append(Stroke(strand, 0.7))
    return marks


def _back(look: Look) -> Points:
    """The outline of the hair that covers the back of the head, down to its ends."""
    bottom, wide, drift = {
        "bob": (0.85 + 0.3 * look.length, 1.17, 0.2),
        "long": (1.55 + 0.75 * look.length, 1.14, 1.0),
    }.get(look.hair, (0.72, 1.04, 0.1))
    x = np.linspace(wide * 0.9, -wide * 0.9, 7)
    valleys = np.stack([x + look.sway * drift, np.full(7, bottom - 0.12) - 0.06 * np.cos(x * 3)], 1)
    tips = np.stack([(x[:-1] + x[1:]) / 2 * 1.06 + look.sway * drift * 1.3, np.full(6, bottom + 0.1)], 1)
    end = (wide * 0.92, bottom - 0.12)
    right = [(0.0, -1.15), (0.78, -0.86), (1.08, -0.15), (wide + 0.02, bottom * 0.55), end]
    over = np.array([(-x, y) for x, y in reversed(right[1:])] + right)
    over[[0, -1], 0] += look.sway * drift
    return np.concatenate([smooth(over, closed=False), locks(valleys, tips)])


def _spikes(look: Look) -> list[Points]:
    """Locks that stand off the head of short hair."""
    spikes = []
    for angle, reach, width in (
        (-0.72, 0.26, 0.24),
        (-0.3, 0.34, 0.2),
        (0.08, 0.32, 0.16),
        (0.42, 0.26, 0.13),
        (-1.18, 0.22, 0.24),
        (-1.75, 0.2, 0.24),
    ):
        for side in SIDES:
            if angle < -1.5 and side == -1:
                continue
            away = np.array([side * np.cos(angle), np.sin(angle)])
            down = np.array([0.0, 0.22]) if angle > -1 else np.array([side * 0.2, 0.05])
            base = (1.12 - width) * away - (0.0, 0.08)
            tip = 1.02 * away + away * (reach + 0.1 * look.length) + down
            spikes.append(
                limb([base, base + 0.18 * away + 0.1 * down, tip], (width, width * 0.85, width * 0.45, 0.004))
            )
    return spikes


def _tail(root: tuple[float, float], side: int, look: Look) -> list[Mark]:
    """A bound tail that leaves `root` outwards and falls, with its tie."""
    strands = [
        [(0.0, 0.0), (0.45, -0.05), (0.62, 0.9), (0.3, 2.0)],
        [(0.0, 0.0), (0.3, 0.1), (0.38, 0.9), (0.62, 1.75)],
        [(0.0, 0.0), (0.25, 0.2), (0.25, 0.8), (0.05, 1.6)],
    ]
    paths = []
    for strand in strands:
        path = np.array(strand) * (side, 1.0)
        path[2:, 1] *= 0.75 + 0.5 * look.length
        path[:, 0] += look.sway * np.array((0.0, 0.0, 1.0, 2.0))
        paths.append(shifted(path, *root))
    tubes = tuple(limb(path, (0.1, 0.26, 0.27, 0.2, 0.01)) for path in paths)
    tie = ellipse(root[0] + side * 0.06, root[1] - 0.01, 0.1, 0.17, turn=-side * 0.2)
    return [
        Shape(tubes, "hair", shade=(0.1, -0.1)),
        *(Stroke(smooth(path, closed=False)[5:-5], 0.7) for path in paths[:2]),
        Shape((tie,), "ribbon", shade=(0.03, -0.04)),
    ]


def draw_braids(look: Look) -> list[Mark]:
    """Two braids that hang before the shoulders."""
    if look.hair != "braids":
        return []
    marks: list[Mark] = []
    count = 4 + round(2 * look.length)
    for side in SIDES:
        for i in range(count, -1, -1):
            x = side * (0.86 + 0.03 * np.sin(i)) + look.sway * 0.12 * i
            y = 0.72 + 0.2 * i
            if i == count:
                end = shifted(outline("-.05,-.05 -.12,.12 0,.3! .12,.12 .05,-.05"), x, y)
                marks.append(Shape((end,), "hair", shade=(0.04, -0.05)))
                marks.append(Shape((ellipse(x, y - 0.02, 0.1, 0.065),), "ribbon"))
            else:
                turn = 0.5 if i % 2 else -0.5
                marks.append(Shape((ellipse(x, y, 0.17, 0.125, turn=turn),), "hair", shade=(0.05, -0.05)))
    return marks


def draw_front_hair(look: Look) -> list[Mark]:
    """The cap of hair over the skull with fringe and side locks, and their shadow on the face."""
    fringe, strands = _fringe(look)
    skull = outline("1.05,.2 1.09,-.2 .8,-.86 0,-1.17 -.8,-.86 -1.09,-.2 -1.05,.2", closed=False)
    cap = np.concatenate([skull, fringe])
    drop = 0.75 if look.hair == "spiky" else 1.0 + 0.25 * look.length
    sides = [_side_lock(look, side, drop) for side in SIDES]
    group = (cap, *sides, *(_spikes(look) if look.hair == "spiky" else ()))
    marks: list[Mark] = [
        Tint(tuple(shifted(part, 0.03, 0.1) for part in group), "skin", ("skin", "blush"), dark=True),
        Tint(tuple(shifted(part, 0.03, 0.06) for part in group), "eye white", ("eye white",), dark=True),
        Shape(group, "hair", shade=(0.09, -0.1)),
    ]
    marks += strands
    upper, lower = (bezier((-0.78, -0.42), (0.0, y), (0.7, -0.5), 10) for y in (-0.86, -0.66))
    shine = np.concatenate([upper, lower[::-1]])
    marks.append(Tint((shine,), "hair shine", ("hair",)))
    for side in SIDES:
        end = (side * 0.9 + look.sway * 0.3, drop - 0.2)
        marks.append(Stroke(bezier((side * 0.97, 0.1), (side * 1.0, 0.45), end), 0.7))
    if look.headwear != "beret":
        curl = limb(
            [(0.0, -1.1), (0.02, -1.32), (0.2 + 0.5 * look.sway, -1.44), (0.46 + 0.6 * look.sway, -1.32)],
            (0.035, 0.075, 0.085, 0.05, 0.004),
        )
        marks.append(Shape((curl,), "hair"))
        marks.append(Shape((ellipse(0.0, -1.09, 0.04, 0.06),), "hair", line=0))
    return marks


def _side_lock(look: Look, side: int, drop: float) -> Points:
    inwards = (0.06 if side == -1 else -0.1) * look.turn  # the lock of the far side leaves the far eye free
    lock = points(f".86,-.3 1.06,-.1 1.06,.35 .86,{drop}! .8,.5 .74,.1")
    lock[3:, 0] -= inwards
    lock *= (side, 1.0)
    lock[3:5, 0] += 0.3 * look.sway
    return smooth(lock)


FRINGES = {  # valleys between the locks from temple to temple, and the tips of the locks
    "blunt": (
        points("-1.05,.2 -.72,-.1 -.4,-.14 -.08,-.16 .25,-.14 .58,-.1 1.05,.2"),
        points("-.88,.32 -.58,.03 -.26,.01 .06,0 .4,.03 .86,.32"),
    ),
    "swept": (
        points("-1.05,.2 -.66,-.22 -.2,-.34 .24,-.34 .62,-.26 1.05,.2"),
        points("-.84,.3 -.56,.1 0,.1 .6,.1 .92,.4"),
    ),
    "pointed": (
        points("-1.05,.2 -.62,-.3 -.16,-.34 .2,-.34 .62,-.3 1.05,.2"),
        points("-.84,.36 -.42,.06 .03,.3 .44,.06 .86,.36"),
    ),
    "parted": (
        points("-1.05,.2 -.74,-.15 -.12,-.72 .7,-.2 1.05,.2"),
        points("-.9,.42 -.42,.12 .5,.1 .88,.4"),
    ),
}


def _fringe(look: Look) -> tuple[Points, list[Mark]]:
    """The lower edge of the cap, from the left temple to the right one, and strands that rise from it."""
    valleys, tips = (part.copy() for part in FRINGES[look.fringe])
    if look.fringe != "parted":
        valleys[1:-1] = turned(valleys[1:-1], 0.8 * look.turn)
        tips[1:-1] = shifted(turned(tips[1:-1], 0.8 * look.turn), 0.25 * look.sway, 0.0)
    crown = np.array((0.12 * look.turn, -1.16))
    strands: list[Mark] = []
    for i, start in enumerate(valleys[1:-1]):
        reach = start + (crown - start) * (0.62 if i % 2 else 0.4)
        bend = (start + reach) / 2 + (0.12 * np.sign(start[0]), -0.08)
        strands.append(Stroke(bezier(start, bend, reach), 0.8, taper=(False, True)))
    return locks(valleys, tips), strands
