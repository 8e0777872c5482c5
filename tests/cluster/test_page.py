"""The figures that docs/cluster.md quotes are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text()


def measured(name: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["summary"]
    return found


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("chaos", "rounds", "ran {:.0f} short searches"),
        ("chaos", "undisturbed_seconds", "An undisturbed search took\n{:.0f} seconds"),
        ("scale", "ms_per_trial_10000", "{:.0f} ms a trial, "),
        ("scale", "growth", "{:.2f} times what a trial of 1,000 takes"),
        ("scale", "driver_peak_mib", "{:.0f} MiB for the driver"),
        ("scale", "resume_seconds", "{:.1f} s until a resumed run begins"),
        ("scale", "ms_per_report", "{:.1f} ms a report"),
    ],
)
def test_a_figure_is_the_one_that_was_measured(name: str, value: str, words: str) -> None:
    assert words.format(measured(name)[value]) in PAGE


def test_no_kill_ever_cost_a_result() -> None:
    chaos = measured("chaos")
    assert (chaos["lost"], chaos["duplicated"], chaos["wrong"]) == (0, 0, 0)
