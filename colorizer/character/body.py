"""Her arms and legs with their sleeves and trousers, in head radii about the head's centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colorizer.character.curves import Points, bezier, ellipse, limb, outline, rotated, smooth
from colorizer.character.look import Look
from colorizer.character.painting import Mark, Shape, Stroke

Point = tuple[float, float]
SIDES = (-1, 1)
SHADE = (0.05, -0.05)

# Elbow and wrist of the right arm, whose shoulder is at SHOULDER.
SHOULDER = (0.4, 1.3)
ARM: dict[str, tuple[Point, Point]] = {
    "down": ((0.66, 1.72), (0.74, 2.16)),
    "hips": ((1.0, 1.74), (0.56, 2.04)),
    "wave": ((0.95, 1.58), (1.32, 1.08)),
    "peace": ((0.9, 1.68), (1.24, 1.22)),
    "up": ((1.06, 1.12), (1.38, 0.5)),
    "out": ((0.92, 1.52), (1.4, 1.52)),
    "behind": ((0.78, 1.72), (0.5, 2.08)),
    "chest": ((0.74, 1.8), (0.3, 1.62)),
    "sip": ((0.76, 1.8), (0.38, 1.42)),
    "offer": ((0.84, 1.78), (1.22, 1.5)),
    "front": ((0.6, 1.84), (0.16, 2.1)),
    "read": ((0.76, 1.84), (0.42, 1.86)),
}
RAISED = ("wave", "peace", "up", "out", "offer")  # these arms are in front of the hair

# Knee, ankle and the way the toes point (0 down, 1 to the side) of the right leg, whose hip is at HIP.
HIP = (0.24, 2.3)
LEGS: dict[str, tuple[tuple[Point, Point, float], tuple[Point, Point, float]]] = {
    "stand": (((0.23, 2.85), (0.22, 3.36), 0.3), ((0.23, 2.85), (0.22, 3.36), 0.3)),
    "walk": (((0.3, 2.84), (0.5, 3.3), 0.8), ((0.12, 2.86), (0.24, 3.36), -0.6)),
    "sit": (((0.34, 2.62), (0.3, 3.2), 0.3), ((0.34, 2.62), (0.3, 3.2), 0.3)),
    "floor": (((0.62, 2.62), (0.98, 2.8), 1.3), ((0.62, 2.62), (0.98, 2.8), 1.3)),
    "jump": (((0.56, 2.7), (0.36, 3.12), 0.2), ((0.34, 2.84), (0.62, 3.2), 1.0)),
    "pigeon": (((0.2, 2.85), (0.3, 3.36), -0.5), ((0.2, 2.85), (0.3, 3.36), -0.5)),
}


def _flip(points: Points, side: int) -> Points:
    return points * (side, 1.0)


def symmetric(right: str) -> Points:
    """The closed outline whose right half, from top to bottom, is the path `right`."""
    words = right.split()
    return outline(" ".join(words + [_mirrored(word) for word in reversed(words)]))


def _mirrored(word: str) -> str:
    return word[1:] if word.startswith("-") else "-" + word


def top_part(look: Look) -> str:
    """The name, in the palette, of her top."""
    return "blouse" if look.top == "sailor" else look.top


def arm_spine(look: Look, side: int) -> Points:
    """(17, 2): shoulder, elbow (the point in the middle) and wrist of the arm on a side."""
    elbow, wrist = ARM[look.arms[(side + 1) // 2]]
    return _flip(smooth([SHOULDER, elbow, wrist], closed=False, steps=8), side)


def draw_legs(look: Look) -> list[Mark]:
    """Legs, socks and shoes, with trousers or shorts."""
    marks: list[Mark] = []
    trousers: list[Points] = []
    for side, (knee, ankle, toes) in zip(SIDES, LEGS[look.legs], strict=True):
        spine = _flip(smooth([HIP, knee, ankle], closed=False, steps=8), side)
        marks += _foot(spine[-1], side, toes)
        marks.append(Shape((limb(spine[:: len(spine) // 4], (0.2, 0.19, 0.16, 0.14, 0.11)),), "skin", shade=SHADE))
        if look.bottom == "trousers":
            trousers.append(limb(spine[:-1:3], (0.235, 0.22, 0.2, 0.19, 0.19), ends=(1, 0.15)))
        else:
            sock = limb(spine[-5:], (0.15, 0.125), ends=(0.25, 1))
            marks.append(Shape((sock,), "socks", shade=(0.05, -0.03)))
            if look.bottom == "shorts":
                trousers.append(limb(spine[:8:2], (0.24, 0.25, 0.26), ends=(1, 0.2)))
    if trousers:
        pelvis = symmetric(".3,1.9 .42,2.1 .42,2.36 .1,2.5")
        marks.append(Shape((pelvis, *trousers), look.bottom, shade=SHADE))
        crotch = 2.48 if look.legs in ("floor", "jump") else 2.66
        marks.append(Stroke(bezier((0.0, 2.3), (0.02, 2.4), (0.0, crotch)), 0.7, taper=(True, False)))
    return marks


def _foot(ankle: Points, side: int, toes: float) -> list[Mark]:
    shoe = outline("-.13,-.04 .1,-.06 .15,.06 .3,.12 .32,.22 .3,.22 -.13,.22 -.15,.2")
    sole = outline("-.15,.19! .32,.19! .32,.25 .3,.26 -.13,.26 -.15,.25")
    squeeze = 0.62 + 0.38 * min(1.0, abs(toes))
    way = side * (1 if toes >= 0 else -1)
    tilt = 0.0 if toes <= 1 else -0.5 * side

    def put(points: Points) -> Points:
        return rotated(points * (way * squeeze, 1.0), tilt) + ankle

    return [Shape((put(sole),), "sole"), Shape((put(shoe),), "shoes", shade=(0.03, -0.04))]


def draw_arm(look: Look, side: int) -> list[Mark]:
    """An arm with its hand and sleeve."""
    spine = arm_spine(look, side)
    pose = look.arms[(side + 1) // 2]
    bare = _bent(spine, 17, (0.15, 0.14, 0.125), (0.125, 0.11, 0.095), 1.0)
    marks: list[Mark] = [Shape((*bare, *_hand(spine, side, pose)), "skin", shade=SHADE)]
    part = top_part(look)
    sleeve: tuple[Points, ...]
    if look.top == "T-shirt":
        sleeve = (limb(spine[:7:2], (0.17, 0.19, 0.2), ends=(1, 0.2)),)
    elif look.top == "dress":
        sleeve = (limb(spine[:7:2], (0.17, 0.24, 0.15), ends=(1, 0.2)),)
    elif look.top == "hoodie":
        sleeve = _bent(spine, 16, (0.18, 0.18, 0.175), (0.175, 0.17, 0.16), 0.2)
    else:
        sleeve = _bent(spine, 16, (0.17, 0.16, 0.15), (0.15, 0.155, 0.16), 0.2)
    marks.append(Shape(sleeve, part, shade=(0.06, -0.05)))
    if look.top in ("hoodie", "sailor"):
        cuff = _band(spine[-2], spine[-1] - spine[-3], half_width=0.165, half_length=0.075)
        marks.append(Shape((cuff,), "hoodie" if look.top == "hoodie" else "sailor collar", line=0.8))
    seam = spine[0] + (-0.06 * side, 0.05) + ellipse(0.0, 0.0, 0.13, 0.16)
    return [*marks, Shape((seam,), part, line=0)]  # the sleeve goes over into the trunk without a line


def _bent(
    spine: Points, stop: int, upper: Sequence[float], lower: Sequence[float], end: float
) -> tuple[Points, Points]:
    """An arm up to a point of its spine as two tubes that meet at the elbow, where one would cross itself."""
    return limb(spine[:9:2], upper), limb(spine[8:stop:2], lower, ends=(1.0, end))


def _band(middle: Points, direction: Points, half_width: float, half_length: float) -> Points:
    """A cuff about `middle` across a limb that runs in `direction`."""
    along = half_length * direction / np.hypot(*direction)
    across = half_width / half_length * np.array([-along[1], along[0]])
    near, far = middle - along, middle + along
    return np.concatenate(
        [
            bezier(near - across, near + 0.5 * along, near + across),
            bezier(far + across, far + 0.5 * along, far - across),
        ]
    )


def _hand(spine: Points, side: int, pose: str) -> tuple[Points, ...]:
    wrist, along = spine[-1], spine[-1] - spine[-4]
    along = along / np.hypot(*along)
    across = np.array([-along[1], along[0]]) * side  # towards the thumb of a hand whose palm is seen

    def at(forward: float, aside: float) -> Point:
        x, y = wrist + forward * along + aside * across
        return float(x), float(y)

    def finger(*points: Point, width: float = 0.058) -> Points:
        return limb([at(*p) for p in points], (width, width * 0.95))

    angle = float(np.arctan2(along[1], along[0]))
    palm = ellipse(*at(0.12, 0.0), 0.17, 0.135, turn=angle)
    if pose in ("wave", "up", "out"):
        lengths = ((-0.1, 0.36), (-0.035, 0.42), (0.035, 0.4), (0.1, 0.33))
        fan = [finger((0.14, aside), (reach, aside * 1.9)) for aside, reach in lengths]
        return (palm, *fan, finger((0.04, -0.06), (0.16, -0.26)))
    if pose == "peace":
        up = [finger((0.16, aside), (0.46, aside * 2.6)) for aside in (-0.05, 0.05)]
        return (palm, *up, finger((0.1, 0.04), (0.2, -0.1)))
    return (palm, ellipse(*at(0.19, 0.0), 0.11, 0.11), finger((0.04, -0.08), (0.16, -0.16)))
