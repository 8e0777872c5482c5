"""Her face: outline, eyes, brows, mouth, in units of the head's radius about the head's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from colorizer.character.curves import Points, bezier, ellipse, shifted, smooth
from colorizer.character.look import Look
from colorizer.character.painting import Mark, Shape, Stroke, Tint

EYE = (0.42, 0.31)  # of an eye in full face
SIDES = (-1, 1)


def turned(points: ArrayLike, turn: float) -> Points:
    """Points on the ball of the head after it has turned to the right by up to a sixth of a right angle."""
    p = np.array(points, dtype=np.float64)
    angle = 0.24 * turn
    depth = np.sqrt(np.maximum(0.04, 1 - p[..., 0] ** 2))
    p[..., 0] = p[..., 0] * np.cos(angle) + depth * np.sin(angle)
    return p


def draw_face(look: Look) -> list[Mark]:
    """Skin, ears, blush, nose, mouth and eyes; the hair in front and `draw_brows` come above it."""
    marks: list[Mark] = []
    t = look.turn
    for side in SIDES:
        x = side * 0.93 + 0.02 * t
        marks.append(Shape((ellipse(x, 0.3, 0.15, 0.22, turn=side * 0.2),), "skin", shade=(-0.05, -0.04)))
        marks.append(Stroke(bezier((x + side * 0.06, 0.2), (x - side * 0.06, 0.26), (x + side * 0.02, 0.38)), 0.7))
    chin = 0.17 * t
    outline = smooth(
        [
            (-0.95, -0.2),
            (-0.93, 0.25),
            (-0.8 + 0.05 * t, 0.6),
            (-0.42 + 0.12 * t, 0.9),
            (chin, 1.0),
            (0.42 + 0.11 * t, 0.88),
            (0.77 + 0.04 * t, 0.58),
            (0.9 + 0.01 * t, 0.25),
            (0.95, -0.2),
            (0.6, -0.85),
            (-0.6, -0.85),
        ]
    )
    marks.append(Shape((outline,), "skin", shade=(0.03, -0.05)))
    if look.blush:
        for side in SIDES:
            spot = turned(ellipse(side * 0.6, 0.62, 0.16, 0.085), t)
            marks.append(Tint((spot,), "blush", ("skin",)))
            for i in (-1, 0, 1):
                hatch = turned([(side * 0.6 + 0.07 * i + 0.025, 0.58), (side * 0.6 + 0.07 * i - 0.025, 0.655)], t)
                marks.append(Stroke(smooth(hatch, closed=False), 0.5))
    nose = turned([(0.02, 0.5), (0.07, 0.56), (0.02, 0.585)], t)
    marks.append(Stroke(smooth(nose, closed=False), 0.7))
    marks += _mouth(look)
    for side in SIDES:
        marks += _eye(look, side)
    return marks


def draw_brows(look: Look) -> list[Mark]:
    """The eyebrows, which cartoons draw over the fringe."""
    inner, outer = {
        "calm": (0, 0),
        "raised": (-0.07, -0.07),
        "worried": (-0.08, 0.05),
        "firm": (0.07, -0.05),
    }[look.brows]
    marks: list[Mark] = []
    for side in SIDES:
        x = side * EYE[0]
        brow = [
            (x - side * 0.15, -0.09 + inner),
            (x + side * 0.03, -0.14 + (inner + outer) / 2),
            (x + side * 0.2, -0.07 + outer),
        ]
        marks.append(Stroke(smooth(turned(brow, look.turn), closed=False), 0.6, 0.016))
    return marks


def _eye(look: Look, side: int) -> list[Mark]:
    kind = look.eyes
    if kind == "wink":
        kind = "happy" if side == 1 else "open"
    if kind in ("happy", "asleep"):
        return _closed_eye(look, side, up=kind == "happy")
    openness = {"open": 1.0, "wide": 1.12, "half": 0.72}[kind]
    cx, cy = side * EYE[0], EYE[1]
    u = np.linspace(-1, 1, 25)
    x = cx + side * u * 0.225
    top = cy - 0.03 * u + 0.03 - 0.33 * openness * (1 - np.abs(u) ** 2.4) * (1 + 0.1 * u)
    bottom = cy + 0.04 - 0.03 * u + 0.2 * (1 - np.abs(u) ** 2.6)
    lid = turned(np.stack([x, top], 1), look.turn)
    opening = np.concatenate([lid, turned(np.stack([x, bottom], 1)[::-1], look.turn)])
    size = 0.85 if kind == "wide" else 1.0
    gx, gy = cx + 0.045 * look.gaze[0] - side * 0.01, cy - 0.05 + 0.03 * look.gaze[1]

    def inside(outline: Points) -> Points:
        order = np.argsort(x)
        low, high = (
            np.interp(outline[:, 0], x[order], top[order]),
            np.interp(outline[:, 0], x[order], bottom[order]),
        )
        return turned(np.stack([outline[:, 0].clip(x.min(), x.max()), np.clip(outline[:, 1], low, high)], 1), look.turn)

    iris = inside(ellipse(gx, gy, 0.172 * size, 0.275 * size, steps=36))
    shadow = inside(ellipse(gx, gy - 0.15, 0.2, 0.2 * size, steps=36))
    pupil = inside(ellipse(gx, gy + 0.02, 0.08 * size, 0.13 * size))
    shine = ellipse(gx - 0.06, gy - 0.09 * size, 0.062, 0.08)
    spark = ellipse(gx + 0.07, gy + 0.12 * size, 0.036, 0.042)
    flick = np.array([[x[-1] + side * 0.055, top[-1] - 0.06]])
    lash = np.concatenate([lid, turned(flick, look.turn)])
    low_lid = np.stack([x, bottom], 1)[14:22]
    crease = np.stack([x, top - 0.085 - 0.02 * u], 1)[9:21]
    return [
        Shape((opening,), "eye white", line=0, shade=(0.0, 0.07)),
        Shape((iris,), "iris", line=0.6),
        Tint((shadow,), "iris", ("iris",), dark=True),
        Shape((pupil,), "pupil", line=0, solid=True),
        Shape((inside(shine),), "eye white", line=0),
        Shape((inside(spark),), "eye white", line=0),
        Stroke(lash, 0.7, 0.06),
        Stroke(turned(low_lid, look.turn), 0.7),
        Stroke(turned(crease, look.turn), 0.5),
    ]


def _closed_eye(look: Look, side: int, up: bool) -> list[Mark]:
    cx, cy = side * EYE[0], EYE[1] + (0.06 if up else 0.1)
    bend = -0.24 if up else 0.2
    arc = turned(bezier((cx - side * 0.2, cy), (cx, cy + bend), (cx + side * 0.21, cy - 0.02), 14), look.turn)
    marks: list[Mark] = [Stroke(arc, 0.7, 0.045)]
    if not up:
        for u in (0.05, 0.13):
            lash = [(cx + side * u, cy + 0.09 - u * 0.25), (cx + side * (u + 0.06), cy + 0.15 - u * 0.3)]
            marks.append(Stroke(smooth(turned(lash, look.turn), closed=False), 0.7))
    return marks


def _mouth(look: Look) -> list[Mark]:
    y = 0.73

    def at(points: ArrayLike) -> Points:
        return turned(shifted(points, 0.0, y), look.turn)

    if look.mouth == "smile":
        return [Stroke(at(bezier((-0.16, -0.02), (0.0, 0.11), (0.16, -0.03), 12)), 0.9)]
    if look.mouth == "small":
        return [Stroke(at(bezier((-0.07, 0.01), (0.0, 0.035), (0.08, 0.0), 10)), 0.9)]
    if look.mouth == "pout":
        return [Stroke(at(bezier((-0.1, 0.05), (0.0, -0.06), (0.1, 0.05), 10)), 0.9)]
    if look.mouth == "cat":
        left, right = (
            bezier((-0.17, -0.03), (-0.09, 0.1), (0.0, 0.0)),
            bezier((0.0, 0.0), (0.09, 0.1), (0.17, -0.03)),
        )
        return [Stroke(at(np.concatenate([left, right[1:]])), 0.9)]
    if look.mouth == "round":
        return [Shape((at(ellipse(0, 0.02, 0.065, 0.085)),), "mouth", line=0.8)]
    width, depth = (0.2, 0.2) if look.mouth == "laugh" else (0.14, 0.15)
    lips = np.concatenate(
        [
            bezier((-width, -0.05), (0.0, 0.0), (width, -0.05), 8),
            bezier((width, -0.05), (width * 0.85, depth), (0.0, depth), 8)[1:],
            bezier((0.0, depth), (-width * 0.85, depth), (-width, -0.05), 8)[1:-1],
        ]
    )
    marks: list[Mark] = [Shape((at(lips),), "mouth", line=0.8)]
    marks.append(Tint((at(ellipse(0, depth + 0.02, width * 0.7, depth * 0.5)),), "tongue", ("mouth",)))
    return marks
