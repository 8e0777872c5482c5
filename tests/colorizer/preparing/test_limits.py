"""A limit takes what lies beyond it, says so, and lets everything pass at 0."""

import inspect
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from colorizer.prepare_command import prepare as command
from colorizer.preparing.limits import Limits, Unfit
from colorizer.preparing.look import Look

GOOD = Look(np.zeros((4, 64, 64), np.uint8), 0.1, 0.1, 200, 40.0, 0.5, np.zeros(16, np.uint8))
OPTIONS = {
    "aspect": "max_aspect", "ink": "min_ink", "contrast": "min_contrast", "colourfulness": "min_colour",
    "density": "max_density", "subject": "min_subject", "likeness": "near", "drop_near": "drop_near",
}  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "look", "size", "reason", "said"),
    [
        ({"aspect": 4}, {}, (82, 20), Unfit.SLIVER, "4.1, at most 4"),
        ({"aspect": 4}, {}, (20, 82), Unfit.SLIVER, "4.1, at most 4"),
        ({"ink": 0.2}, {"ink": 0.19}, (7, 5), Unfit.BLANK, "ink 0.19, at least 0.2"),
        ({"contrast": 9}, {"contrast": 8}, (7, 5), Unfit.BLANK, "8, at least 9"),
        ({"colourfulness": 1}, {"colourfulness": 0.9}, (7, 5), Unfit.WITHOUT_COLOUR, "0.9, at least 1"),
        ({"density": 0.3}, {"density": 0.31}, (7, 5), Unfit.INTRICATE, "line density 0.31, at most 0.3"),
        ({"subject": 0.1}, {"subject": 0.09}, (7, 5), Unfit.SMALL_SUBJECT, "0.09, at least 0.1"),
    ],
)
def test_a_limit_refuses_what_lies_beyond_it(
    limit: dict[str, Any], look: dict[str, Any], size: tuple[int, int], reason: Unfit, said: str
) -> None:
    measured = GOOD._replace(**look)
    found = Limits(**limit).unfit(measured, *size)
    assert found is not None
    assert found[0] == reason
    assert said in found[1]
    off: dict[str, Any] = dict.fromkeys(limit, 0)
    assert Limits(**off).unfit(measured, *size) is None
    at_the_limit = {name: limit[name] for name in look}
    assert Limits(**limit).unfit(GOOD._replace(**at_the_limit), 20, 20) is None


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"ink": -0.1}, "ink from 0 to 1, a share, got ink=-0.1"),
        ({"density": float("nan")}, "density from 0 to 1"),
        ({"subject": 3}, "subject from 0 to 1"),
        ({"aspect": 0.5}, "aspect of at least 1, or 0"),
        ({"colourfulness": -1}, "colourfulness of at least 0"),
        ({"contrast": 256}, "contrast from 0 to 255"),
        ({"likeness": 17}, "likeness from 0 to 16 bits of 128, got likeness=17"),
        ({"likeness": 0, "drop_near": True}, "likeness above 0 with drop_near"),
    ],
)
def test_wrong_limits_are_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Limits(**wrong)


def test_the_command_has_the_same_defaults() -> None:
    options = inspect.signature(command).parameters
    assert {name: options[option].default for name, option in OPTIONS.items()} == asdict(Limits())
