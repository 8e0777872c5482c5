"""Her neck and what she wears about her trunk, in head radii about the head's centre."""

from __future__ import annotations

import numpy as np

from colorizer.character.body import SIDES, symmetric, top_part
from colorizer.character.curves import bezier, ellipse, limb, outline, smooth, star
from colorizer.character.look import Look
from colorizer.character.painting import Mark, Shape, Stroke, Tint

SMALL_SHADE = (0.03, -0.04)


def draw_torso(look: Look) -> list[Mark]:
    """Neck, top and skirt; sleeves belong to the arms, collars lie above these."""
    marks: list[Mark] = []
    if look.bottom == "skirt":
        marks += _skirt("skirt", 1.95, look)
    elif look.top == "dress":
        marks += _skirt("dress", 1.9, look)
    waist = {"hoodie": 0.46, "dress": 0.36}.get(look.top, 0.4)
    hem = 2.2 if look.top in ("T-shirt", "hoodie") else 2.06
    trunk = symmetric(f".2,1.1! .42,1.19 .5,1.3 .44,1.55 {waist},1.85 {waist + 0.06},{hem}!")
    marks.append(Shape((symmetric(".17,.8 .16,1.08 .26,1.24 .1,1.34"),), "skin"))
    marks.append(Shape((trunk,), top_part(look), shade=(0.07, -0.03)))
    marks += {"T-shirt": _t_shirt, "hoodie": _hoodie, "sailor": _scarf, "dress": _belt}[look.top](look)
    marks.append(Tint((ellipse(0.0, 0.98, 0.6, 0.22),), "skin", ("skin",), dark=True))
    return marks


def _t_shirt(look: Look) -> list[Mark]:
    marks: list[Mark] = [Shape((symmetric(".19,1.06 .15,1.24 .05,1.3"),), "skin", line=0.9)]
    if not {"chest", "front", "sip"} & set(look.arms):  # a hand would cover half of the star
        marks.append(Shape((star(0.0, 1.68, 0.19),), "print", line=0.8))
    return [*marks, Stroke(bezier((-0.4, 2.12), (0.0, 2.18), (0.4, 2.12)), 0.6)]


def _hoodie(_look: Look) -> list[Mark]:
    cords = [smooth([(side * 0.12, 1.42), (side * 0.13, 1.58), (side * 0.11, 1.72)], closed=False) for side in SIDES]
    return [
        Shape((outline("-.2,1.84! .2,1.84! .3,2.06! -.3,2.06!"),), "hoodie", line=0.7),
        Stroke(bezier((-0.46, 2.1), (0.0, 2.15), (0.46, 2.1)), 0.7),
        *(Stroke(cord, 0.8, 0.02, taper=(False, False)) for cord in cords),
    ]


def _scarf(_look: Look) -> list[Mark]:
    marks: list[Mark] = []
    for side in SIDES:
        tail = outline("0,1.64! .1,1.8 .2,2! .06,1.96 .02,1.8") * (side, 1)
        wing = outline("0,1.64! .2,1.54 .26,1.66 .18,1.76") * (side, 1)
        marks += [Shape((tail,), "scarf", shade=SMALL_SHADE), Shape((wing,), "scarf", shade=SMALL_SHADE)]
    return [*marks, Shape((ellipse(0.0, 1.65, 0.075, 0.075),), "scarf")]


def _belt(_look: Look) -> list[Mark]:
    belt = limb([(-0.36, 1.9), (0.0, 1.93), (0.36, 1.9)], (0.07, 0.07))
    buttons = [ellipse(0.0, y, 0.045, 0.045) for y in (1.5, 1.68)]
    return [
        Shape((belt,), "ribbon", shade=(0.0, -0.04)),
        *(Shape((button,), "dress collar", line=0.7) for button in buttons),
    ]


def _skirt(part: str, waist: float, look: Look) -> list[Mark]:
    wide, hem = (0.86, 2.66) if look.legs in ("jump", "floor") else (0.72, 2.72)
    edge = np.linspace(wide, -wide, 9)
    wave = hem - 0.1 * (edge / wide) ** 2 + 0.035 * np.cos(np.arange(9) * np.pi)
    edge = edge + 0.25 * look.sway
    sides = [
        bezier((-0.36, waist), (0.0, waist + 0.04), (0.36, waist), 4),
        bezier((0.36, waist), (0.44, waist + 0.35), (edge[0], wave[0]), 6),
        smooth(np.stack([edge, wave], 1), closed=False, steps=4)[1:-1],
        bezier((edge[-1], wave[-1]), (-0.44, waist + 0.35), (-0.36, waist), 6),
    ]
    marks: list[Mark] = [Shape((np.concatenate(sides),), part, shade=(0.12, -0.04))]
    for i in (1, 3, 5, 7):
        x, y = edge[i], wave[i]
        pleat = bezier((x, y), (x * 0.72, y - 0.3), (x * 0.55, waist + 0.22))
        marks.append(Stroke(pleat, 0.7, taper=(False, True)))
    return marks


def draw_collar(look: Look) -> list[Mark]:
    """What of the top lies over the shoulders: a sailor collar, a hood, the collar of the dress."""
    if look.top == "hoodie":
        hood = symmetric(".08,1.28 .14,1.05 .46,1.06 .56,1.22 .4,1.36 .1,1.49")
        return [Shape((hood,), "hoodie", shade=(0.04, -0.05))]
    marks: list[Mark] = []
    for side in SIDES:
        if look.top == "sailor":
            flap = outline(".15,1.06 .4,1.14 .52,1.34 .3,1.5 0,1.66! .08,1.36 .16,1.14") * (side, 1)
            seam = bezier((0.44, 1.34), (0.26, 1.44), (0.05, 1.56)) * (side, 1)
            marks += [Shape((flap,), "sailor collar", shade=(0.03, -0.03)), Stroke(seam, 0.5)]
        elif look.top == "dress":
            flap = outline("0,1.26! .12,1.1 .26,1.12 .36,1.28 .2,1.4") * (side, 1)
            marks.append(Shape((flap,), "dress collar", shade=(0.03, -0.03)))
    return marks
