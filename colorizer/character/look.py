"""Who is drawn: the choices that make one drawing of the character differ from another, and her colours.

She is always the same person. Poses, faces, hair styles and clothes change; what colour a part has follows
from what the part is, but for a few percent of hue and lightness.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from colorizer.character.painting import RGB

PALETTE: dict[str, tuple[RGB, RGB]] = {  # part: (in light, in shadow)
    "hair": ((72, 188, 186), (46, 148, 160)),
    "hair shine": ((150, 226, 216), (112, 204, 200)),
    "skin": ((255, 224, 202), (244, 190, 168)),
    "blush": ((255, 176, 164), (244, 160, 150)),
    "eye white": ((255, 255, 255), (226, 228, 240)),
    "iris": ((206, 92, 190), (128, 50, 140)),
    "pupil": ((58, 28, 72), (58, 28, 72)),
    "mouth": ((176, 54, 66), (150, 40, 56)),
    "tongue": ((246, 128, 128), (226, 108, 112)),
    "T-shirt": ((238, 98, 88), (204, 70, 74)),
    "print": ((255, 226, 130), (240, 204, 108)),
    "hoodie": ((250, 192, 74), (226, 156, 54)),
    "blouse": ((250, 250, 252), (216, 220, 238)),
    "sailor collar": ((52, 70, 138), (40, 52, 112)),
    "scarf": ((226, 62, 78), (188, 44, 66)),
    "dress": ((178, 146, 226), (146, 112, 202)),
    "dress collar": ((255, 255, 255), (222, 222, 240)),
    "skirt": ((62, 82, 152), (46, 62, 124)),
    "trousers": ((92, 132, 190), (70, 104, 162)),
    "shorts": ((196, 164, 116), (166, 134, 92)),
    "socks": ((250, 250, 252), (216, 220, 236)),
    "shoes": ((142, 84, 58), (110, 62, 46)),
    "sole": ((240, 232, 216), (216, 204, 188)),
    "ribbon": ((240, 74, 96), (200, 50, 80)),
    "beret": ((214, 66, 66), (176, 46, 56)),
    "clip": ((255, 214, 92), (236, 186, 70)),
    "stool": ((190, 132, 84), (156, 104, 66)),
    "balloon": ((248, 122, 160), (224, 92, 136)),
    "shine": ((255, 226, 234), (255, 226, 234)),
    "book": ((78, 158, 104), (58, 128, 86)),
    "pages": ((252, 246, 228), (232, 222, 200)),
    "cup": ((246, 244, 240), (220, 218, 222)),
    "drink": ((150, 96, 62), (126, 78, 52)),
    "flower": ((255, 232, 120), (244, 208, 92)),
    "petal": ((255, 255, 255), (226, 226, 240)),
    "leaf": ((110, 186, 92), (84, 156, 76)),
}


@dataclass(frozen=True)
class Look:
    """Every choice behind one drawing. Angles in radians; `turn` 0 is full face, 1 is three-quarter."""

    framing: str  # "bust", "half" or "whole"
    mirrored: bool
    turn: float
    tilt: float
    roll: float
    sway: float  # how far the hair is blown, in head radii
    hair: str
    length: float  # of the hair, 0 to 1
    fringe: str
    eyes: str
    gaze: tuple[float, float]
    brows: str
    mouth: str
    blush: bool
    top: str
    bottom: str
    arms: tuple[str, str]  # the near (left in the picture) and the far arm
    legs: str
    headwear: str
    glasses: bool
    held: str


def choose_look(rng: np.random.Generator) -> Look:
    """Draw every choice at random, keeping to combinations that can be drawn."""

    def pick(*options: str) -> str:
        return options[int(rng.integers(len(options)))]

    framing = str(rng.choice(["bust", "half", "whole"], p=[0.45, 0.25, 0.3]))
    top = pick("T-shirt", "hoodie", "sailor", "dress")
    held = str(rng.choice(["nothing", "book", "cup", "flower", "balloon"], p=[0.6, 0.1, 0.1, 0.1, 0.1]))
    if framing == "bust" and held in ("book", "balloon"):
        held = "nothing"  # they would lie outside the picture
    arms = (pick(*ARMS), pick(*ARMS))
    if held == "book":
        arms = ("read", "read")
    elif held == "cup":
        arms = ("sip", pick("down", "hips"))
    elif held in ("flower", "balloon"):
        arms = ("offer", pick("down", "hips", "wave", "behind"))
    elif rng.random() < 0.12:
        arms = ("front", "front")
    hair = pick("bob", "long", "twin tails", "ponytail", "spiky", "buns", "braids")
    headwear = str(rng.choice(["none", "ribbon", "beret", "clip"], p=[0.4, 0.25, 0.15, 0.2]))
    if hair == "buns" and headwear == "beret":
        headwear = "none"  # it would not go over them
    return Look(
        framing=framing,
        mirrored=bool(rng.random() < 0.5),
        turn=float(rng.uniform(0, 1)),
        tilt=float(np.clip(rng.normal(0, 0.09), -0.2, 0.2)),
        roll=float(np.clip(rng.normal(0, 0.04), -0.1, 0.1)),
        sway=float(np.clip(rng.normal(0, 0.12), -0.3, 0.3)),
        hair=hair,
        length=float(rng.uniform(0, 1)),
        fringe=pick("blunt", "swept", "parted", "pointed"),
        eyes=str(rng.choice(["open", "wide", "half", "wink", "happy", "asleep"], p=[0.54, 0.1, 0.08, 0.1, 0.1, 0.08])),
        gaze=(float(rng.uniform(-1, 1)), float(rng.uniform(-0.6, 0.8))),
        brows=pick("calm", "raised", "worried", "firm"),
        mouth=pick("smile", "open", "laugh", "small", "round", "cat", "pout"),
        blush=bool(rng.random() < 0.6),
        top=top,
        bottom="dress" if top == "dress" else "skirt" if top == "sailor" else pick("skirt", "trousers", "shorts"),
        arms=arms,
        legs=pick("stand", "stand", "walk", "sit", "floor", "jump", "pigeon"),
        headwear=headwear,
        glasses=bool(rng.random() < 0.15),
        held=held,
    )


ARMS = ("down", "down", "hips", "wave", "peace", "up", "out", "behind", "chest")


def vary_palette(rng: np.random.Generator) -> dict[str, tuple[RGB, RGB]]:
    """Her colours today: each part's hue moves by up to 1.5 % of the circle, its lightness by up to 3 %."""
    return {
        part: (_vary(light, hue, lightness), _vary(dark, hue, lightness))
        for (part, (light, dark)), hue, lightness in zip(
            PALETTE.items(),
            rng.uniform(-0.015, 0.015, len(PALETTE)),
            rng.uniform(-0.03, 0.03, len(PALETTE)),
            strict=True,
        )
    }


def _vary(colour: RGB, hue: float, lightness: float) -> RGB:
    h, l, s = colorsys.rgb_to_hls(*(channel / 255 for channel in colour))  # noqa: E741
    r, g, b = (round(255 * c) for c in colorsys.hls_to_rgb((h + hue) % 1, min(1.0, l * (1 + lightness)), s))
    return r, g, b
