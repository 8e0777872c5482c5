"""What she wears on her head, holds and sits on, in head radii about the head's centre."""

from __future__ import annotations

import numpy as np

from colorizer.character.body import SIDES, arm_spine, top_part
from colorizer.character.curves import Points, bezier, ellipse, limb, outline, shifted, smooth, star
from colorizer.character.face import turned
from colorizer.character.look import Look
from colorizer.character.painting import Mark, Shape, Stroke, Tint


def draw_headwear(look: Look) -> list[Mark]:
    """A ribbon, a beret or a clip on the hair."""
    if look.headwear == "ribbon":
        return _ribbon(-0.72, -0.86)
    if look.headwear == "beret":
        hat = outline("-1.12,-.62 -1.24,-1 -.7,-1.42 .2,-1.5 .95,-1.2 .98,-.86 .5,-.84 -.3,-.78")
        stem = limb([(-0.12, -1.42), (-0.08, -1.62)], (0.05, 0.06))
        band = smooth([(-1.1, -0.69), (-0.4, -0.89), (0.5, -0.95), (0.96, -0.95)], closed=False)
        return [Shape((stem,), "beret"), Shape((hat,), "beret", shade=(0.06, -0.14)), Stroke(band, 0.7)]
    if look.headwear == "clip":
        return [Shape((star(0.66, -0.42, 0.19),), "clip")]
    return []


def _ribbon(x: float, y: float) -> list[Mark]:
    marks: list[Mark] = []
    wing = outline("0,0! .3,-.32 .52,-.2 .5,.2 .26,.24")
    fold = bezier((0.1, 0.0), (0.22, -0.05), (0.32, -0.02))
    for side in SIDES:
        marks.append(Shape((shifted(wing * (side, 1), x, y),), "ribbon", shade=(0.04, -0.07)))
        marks.append(Stroke(shifted(fold * (side, 1), x, y), 0.7))
    return [*marks, Shape((ellipse(x, y, 0.12, 0.14),), "ribbon", shade=(0.03, -0.04))]


def draw_glasses(look: Look) -> list[Mark]:
    """Round rims and their bridge, over the eyes and under the fringe."""
    if not look.glasses:
        return []
    lines = [turned(bezier((-0.13, 0.28), (0.0, 0.2), (0.13, 0.28)), look.turn)]
    for side in SIDES:
        rim = turned(ellipse(side * 0.43, 0.33, 0.31, 0.3, steps=40), look.turn)
        lines += [rim[:21], np.concatenate([rim[20:], rim[:1]])]
    return [Stroke(line, 0.8, 0.012, taper=(False, False)) for line in lines]


def draw_held(look: Look) -> list[Mark]:
    """What she holds. The arms come above a book, a flower and a balloon, and below a cup."""
    hand = shifted(arm_spine(look, -1)[-1], -0.08, -0.02)
    if look.held == "book":
        return _book()
    if look.held == "cup":
        return _cup(look)
    if look.held == "flower":
        return _flower(hand)
    if look.held == "balloon":
        return _balloon(hand, look.sway)
    return []


def _book() -> list[Mark]:
    cover = outline("-.5,1.56! 0,1.64! .5,1.56! .5,2.14! 0,2.22! -.5,2.14!")
    pages = [
        bezier((-0.48, 1.54), (-0.2, 1.5), (0.0, 1.62)),
        bezier((0.0, 1.62), (0.2, 1.5), (0.48, 1.54)),
        bezier((0.48, 1.58), (0.2, 1.54), (0.0, 1.66)),
        bezier((0.0, 1.66), (-0.2, 1.54), (-0.48, 1.58)),
    ]
    return [
        Shape((cover,), "book", shade=(0.05, -0.05)),
        Shape((np.concatenate(pages),), "pages", line=0.8),
        Stroke(np.array([(0.0, 1.66), (0.0, 1.94), (0.0, 2.2)]), 0.8, taper=(False, False)),
        Shape((ellipse(0.25, 1.86, 0.1, 0.12),), "pages", line=0.7),
    ]


def _cup(look: Look) -> list[Mark]:
    at = np.array([-0.1, 1.34])
    x, y = -0.1, 1.34
    fingers = [limb(at + np.array([(-0.24, dy), (-0.08, dy - 0.01)]), (0.05, 0.048)) for dy in (-0.05, 0.04, 0.13)]
    return [
        Shape((ellipse(x + 0.22, y, 0.13, 0.12),), "cup"),
        Shape((ellipse(x + 0.23, y, 0.06, 0.055),), top_part(look), line=0.8),
        Shape((outline("-.2,-.2! .2,-.2! .17,.18 0,.22 -.17,.18") + at,), "cup", shade=(-0.06, -0.02)),
        Shape((ellipse(x, y - 0.2, 0.2, 0.06),), "drink", line=0.8),
        *(Shape((finger,), "skin", line=0.7) for finger in fingers),
    ]


def _flower(hand: Points) -> list[Mark]:
    stem = hand + bezier((0.02, 0.35), (0.0, 0.0), (-0.08, -0.5))
    leaf = hand + outline("-.03,-.14! -.2,-.3 -.32,-.28! -.2,-.14")
    x, y = (float(c) for c in shifted(hand, -0.09, -0.58))
    petals = [
        ellipse(x + 0.17 * np.cos(a), y + 0.17 * np.sin(a), 0.13, 0.095, turn=a) for a in np.arange(6) * np.pi / 3 + 0.3
    ]
    return [
        Stroke(stem, 1.0, 0.01, taper=(False, False)),
        Shape((leaf,), "leaf"),
        *(Shape((petal,), "petal", line=0.8, shade=(0.02, -0.02)) for petal in petals),
        Shape((ellipse(x, y, 0.1, 0.1),), "flower", line=0.8),
    ]


def _balloon(hand: Points, sway: float) -> list[Mark]:
    at = shifted(hand, sway - 0.35, -1.75)
    string = [
        shifted(at, 0.0, 0.6),
        shifted(at, 0.1, 1.0),
        shifted(hand, -0.06, -0.4),
        hand,
        shifted(hand, 0.04, 0.4),
    ]
    egg = outline("0,-.6 .46,-.32 .42,.2 0,.58 -.42,.2 -.46,-.32")
    return [
        Stroke(smooth(string, closed=False), 0.8, taper=(False, False)),
        Shape((at + outline("0,.56! .08,.7! -.08,.7!"),), "balloon"),
        Shape((at + egg,), "balloon", shade=(0.12, -0.12)),
        Tint((at + ellipse(-0.2, -0.3, 0.09, 0.16, turn=0.5),), "shine", ("balloon",)),
    ]


def draw_stool(look: Look) -> list[Mark]:
    """What she sits on."""
    if look.legs != "sit":
        return []
    leg = outline(".5,2.6! .66,3.52! .5,3.52! .34,2.6!")
    legs = [Shape((leg * (side, 1),), "stool", shade=(0.03, -0.03)) for side in SIDES]
    seat = limb([(-0.68, 2.56), (0.68, 2.56)], (0.1, 0.1))
    return [*legs, Shape((seat,), "stool", shade=(0.0, -0.07))]
