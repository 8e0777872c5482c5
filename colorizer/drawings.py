"""The embedded drawings: one cartoon character, as a line drawing and in colour, painted from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colorizer.character.body import RAISED, SIDES, draw_arm, draw_legs
from colorizer.character.clothes import draw_collar, draw_torso
from colorizer.character.face import draw_brows, draw_face
from colorizer.character.hair import draw_back_hair, draw_braids, draw_front_hair
from colorizer.character.look import Look, choose_look, vary_palette
from colorizer.character.painting import Canvas, Mark, View, bounds, moved
from colorizer.character.things import draw_glasses, draw_headwear, draw_held, draw_stool

SMALLEST = 16
SEEDS_PER_SERIES = 2**32
NECK = (0.0, 0.95)


@dataclass(frozen=True)
class Drawing:
    """A line drawing and its colours.

    line: (S, S) uint8, 255 paper, 0 line, anti-aliased.
    color: (S, S, 3) uint8 RGB, flat colours with one shadow tone on white, under the same lines.
    """

    name: str
    line: NDArray[np.uint8]
    color: NDArray[np.uint8]


def draw_character(seed: int, size: int = 96) -> Drawing:
    """The drawing number `seed`, `size` pixels wide and high; the same numbers give the same bits.

    Raises ValueError for a seed that is no integer from 0 up, or a size that is no integer from 16 up.
    """
    _check("size", size, SMALLEST)
    _check("seed", seed, 0)
    rng = np.random.default_rng(seed)
    look = choose_look(rng)
    marks = draw_look(look)
    canvas = Canvas(size, _place(look, marks, rng), vary_palette(rng))
    canvas.paint(marks)
    return Drawing(f"character-{seed}", canvas.line(), canvas.color())


def draw_characters(count: int, seed: int = 0, size: int = 96) -> Iterator[Drawing]:
    """`count` different drawings, one at a time; drawing i is the same for every count.

    It is drawing number `seed * 2**32 + i`, so that no two seeds share one. Wrong numbers raise ValueError.
    """
    _check("count", count, 0)
    _check("seed", seed, 0)
    _check("size", size, SMALLEST)
    return (draw_character(int(seed) * SEEDS_PER_SERIES + i, size) for i in range(count))


def draw_look(look: Look) -> list[Mark]:
    """The marks of a drawing, the lowest first, in head radii about the middle of the head."""

    def head(marks: list[Mark]) -> list[Mark]:
        return moved(marks, NECK, look.tilt)

    def body(marks: list[Mark]) -> list[Mark]:
        return moved(marks, NECK, scale=1.14)

    arms: dict[str, list[Mark]] = {"behind": [], "before": [], "raised": []}
    for side, pose in zip(SIDES, look.arms, strict=True):
        place = "raised" if pose in RAISED else "behind" if pose == "behind" else "before"
        arms[place] += draw_arm(look, side)
    held = draw_held(look)
    marks = [
        *head(draw_back_hair(look)),
        *body(arms["behind"]),
        *body(draw_stool(look)),
        *body(draw_legs(look)),
        *body(draw_torso(look)),
        *body(held if look.held == "book" else []),
        *body(arms["before"]),
        *body(draw_collar(look)),
        *head(draw_braids(look)),
        *head(draw_face(look)),
        *head(draw_brows(look)),
        *head(draw_glasses(look)),
        *head(draw_front_hair(look)),
        *head(draw_headwear(look)),
        *body(held if look.held != "book" else []),
        *body(arms["raised"]),
    ]
    return moved(marks, (0.0, 2.0), look.roll)


def _place(look: Look, marks: list[Mark], rng: np.random.Generator) -> View:
    """Place the drawing on the paper: all of it with a margin, or its upper part cut by the lower edge."""
    left, top, right, bottom = bounds(marks)
    if look.framing == "whole":
        side = max(right - left, bottom - top) * float(rng.uniform(1.1, 1.22))
        spare_x, spare_y = side - (right - left), side - (bottom - top)
        x0 = left - spare_x * float(rng.uniform(0.35, 0.65))
        y0 = top - spare_y * float(rng.uniform(0.35, 0.65))
    else:
        side = float(rng.uniform(2.9, 3.4) if look.framing == "bust" else rng.uniform(3.9, 4.3))
        x0 = -side / 2 + float(rng.uniform(-0.12, 0.12))
        y0 = max(top, -1.75) - float(rng.uniform(0.04, 0.2))
    return View(x0, y0, 1 / side, look.mirrored)


def _check(name: str, value: object, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise ValueError(f"Expected {name} to be an integer of at least {lowest}, got {name}={value!r}.")
