"""Writes the table of benchmarks/results/quality.json into README.md, between its marks.

python docs/quality_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "quality.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- quality: written by docs/quality_table.py -->", "<!-- /quality -->"
NAMES = {"thorough": "best of `searches/thorough.py`", "pix2pix": "`pix2pix`, the published recipe"}
BASELINES = {"mean_image": "the mean colour image", "line_copied": "the line copied"}


def table() -> str:
    """The scores of the test split: mean and standard deviation over seeds, baselines below."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    summary, rows = results["summary"], results["rows"]
    seeds = len({row["seed"] for row in rows if row["steps"]})
    lines = [
        f"| {seeds} seeds each | steps | PSNR, dB | CIEDE2000 | colourfulness, of the truth's |",
        "|---|---:|---:|---:|---:|",
    ]
    for steps in sorted({row["steps"] for row in rows} - {0}):
        for recipe, name in NAMES.items():
            cells = [
                f"{summary[f'{recipe}_{measure}_{steps}']:.2f} ± {summary[f'{recipe}_{measure}_spread_{steps}']:.2f}"
                for measure in ("psnr", "ciede2000", "colourfulness")
            ]
            lines.append(f"| {name} | {steps:,} | {' | '.join(cells)} |")
    for row in rows:
        if row["recipe"] in BASELINES:
            cells = [f"{row[measure]:.2f}" for measure in ("psnr", "ciede2000", "colourfulness")]
            lines.append(f"| {BASELINES[row['recipe']]} | | {' | '.join(cells)} |")
    return "\n".join(lines)


def words() -> str:
    """How it was come by, and what it does not say."""
    summary = json.loads(RESULTS.read_text(encoding="utf-8"))["summary"]
    steps, minutes = summary["steps_of_the_search"], summary["search_seconds"] / 60
    gain, low, high = (summary[f"gain_psnr{end}_{steps}"] for end in ("", "_low", "_high"))
    paler = summary[f"thorough_colourfulness_{steps}"] < summary[f"pix2pix_colourfulness_{steps}"]
    said = (
        f"The search chose by the PSNR of trials of {steps} steps, in {minutes:.0f} minutes on two busy cores; there"
        f"\nits winner gains {gain:.2f} dB [{low:.2f}, {high:.2f}] (`benchmarks/quality.py`)."
    )
    if paler:
        said += " What lowers squared errors makes\ncolours pale: ensembles have a method for that."
    return said


def filled(readme: str) -> str:
    """The README with the table as it should be."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{words()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
