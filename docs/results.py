"""Writes what was measured into the pages that tell it: each part between <!-- results: NAME --> and <!-- /results -->.

python docs/results.py
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", "docs/colorizer.md", "docs/data.md", "docs/cluster.md")

RECIPES = {"thorough": "best of `searches/thorough.py`", "pix2pix": "`pix2pix`, the published recipe"}
BASELINES = {"mean_image": "the mean colour image", "line_copied": "the line copied"}

_PART = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with its measured parts as the results have them now."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", page)


def quality() -> str:
    """The colorizer beside the published recipe and the baselines."""
    results = _read("quality")
    told, rows = results["summary"], results["rows"]
    measures = ("psnr", "ciede2000", "colourfulness")
    body = [
        [name, f"{steps:,}"]
        + [f"{told[f'{recipe}_{of}_{steps}']:.2f} ± {told[f'{recipe}_{of}_spread_{steps}']:.2f}" for of in measures]
        for steps in sorted({row["steps"] for row in rows} - {0})
        for recipe, name in RECIPES.items()
    ]
    body += [
        [BASELINES[row["recipe"]], "", *(f"{row[measure]:.2f}" for measure in measures)]
        for row in rows
        if row["recipe"] in BASELINES
    ]
    seeds = len({row["seed"] for row in rows if row["steps"]})
    head = [f"{seeds} seeds each", "steps", "PSNR, dB", "CIEDE2000", "colourfulness, of the truth's"]
    steps = told["steps_of_the_search"]
    gain, low, high = (told[f"gain_psnr{end}_{steps}"] for end in ("", "_low", "_high"))
    said = _prose(
        f"""The search chose by trials of {steps} steps, in {told["search_seconds"] / 60:.0f} minutes on two cores;
        there its winner gains {gain:.2f} dB [{low:.2f}, {high:.2f}] (`benchmarks/quality.py`). {4 * steps:,} steps are
        not what it was searched for: there the gain is {told[f"gain_psnr_{4 * steps}"]:.2f} dB."""
    )
    return f"{_table(head, body, numbers=4)}\n\n{said}"


def filters() -> str:
    """What the limits of `prepare` take of real drawings, and which copies are found."""
    told = _read("filters")["summary"]
    resized, compressed, shifted = (told[f"found_{copies}"] for copies in ("resized", "compressed", "shifted"))
    return _prose(
        f"""Of the {told["drawings"]:,} drawings of OpenMoji the limits, as they are set, leave out
        {told["too_intricate"]} as too intricate and {told["otherwise_left_out"] or "none"} for any other reason;
        `--min-colour {told["grey_below"]:g}` would take {told["grey"]} and `--drop-near` {told["near_duplicates"]}.
        {told["alike"]} share a group with another. Of copies, hashes find {resized:.0%} where they are smaller by a
        third and {compressed:.0%} where they are JPEG files of quality {told["jpeg_quality"]}, but only
        {shifted:.0%} where they are shifted by 1 pixel in {told["side"]:.0f} (`benchmarks/filters.py`)."""
    )


def prepare() -> str:
    """How fast drawings are read, and in how much memory."""
    results = _read("prepare")
    told, (few, many, most) = results["summary"], results["rows"]
    return _prose(
        f"""A dataset of {many["drawings"]:,} generated drawings of {told["size"]} x {told["size"]} pixels took
        {many["seconds"]:.0f} seconds on two cores, {told["drawings_per_second"]:.0f} drawings a second, and
        {told["peak_mib"]:.0f} MiB at most; one of {few["drawings"]:,} took {few["peak_mib"]:.0f} MiB and one of
        {most["drawings"]:,} {most["peak_mib"]:.0f}, {told["kib_a_drawing"]:.1f} KiB for each more
        (`benchmarks/prepare.py`)."""
    )


def training() -> str:
    """How quick a training is, and what it costs to look at it."""
    results = _read("training")
    told, images = results["summary"], results["rows"][-1]["images_per_second"]
    return _prose(
        f"""On one thread of a processor that computes in bfloat16, at {told["size"]} x {told["size"]} with
        {told["channels"]} channels, a training with `precision="auto"` sees {images:.0f} drawings a second,
        {told["speedup"]:.2f} times as many [{told["speedup_low"]:.2f}, {told["speedup_high"]:.2f}] as a plain loop of
        the same networks in float32 ({told["speedup_float32"]:.2f} in float32), and has {told["loss_ratio"]:.3f} times
        its error [{told["loss_ratio_low"]:.3f}, {told["loss_ratio_high"]:.3f}] after {told["loss_steps"]} steps; seeds
        alone make {told["loss_spread_of_seeds"]:.1%}. To look at one step in a hundred takes
        {told["diagnosis_share"]:.1%} of the time (`benchmarks/training.py`)."""
    )


def pruning() -> str:
    """What a pruned generator has gained and lost."""
    told = _read("pruning")["summary"]
    return _prose(
        f"""On OpenMoji at {told["size"]} x {told["size"]}, with {told["share_of_filters"]:.0%} of the filters gone,
        {told["parameters"]:.0%} of the weights are left, predictions are {told["speedup"]:.1f} times as fast
        [{told["speedup_low"]:.1f}, {told["speedup_high"]:.1f}], and test PSNR is {told["psnr_lost"]:.2f} dB lower than
        that of the whole generator after as many steps, {told["steps"]:,} (means of {told["seeds"]} seeds,
        `benchmarks/pruning.py`)."""
    )


def chaos() -> str:
    """What kills cost a search."""
    results = _read("chaos")
    told, numbers = results["summary"], ("rounds", "lost", "duplicated", "wrong", "steps_repeated")
    seconds = ("seconds_lost", "seconds_lost_worst")
    head = ["killed", "searches", "lost", "duplicated", "wrong", "steps made again", "seconds lost, median", "worst"]
    body = [
        [row["killed"], *("" if row[name] is None else f"{row[name]:.0f}" for name in numbers + seconds)]
        for row in results["rows"]
    ]
    said = _prose(
        f"""`benchmarks/chaos.py` ran {told["rounds"]} short searches on three machines made of Linux namespaces, and
        killed something in each at a random moment; every step of every trial was counted by the trial itself. An
        undisturbed search took {told["undisturbed_seconds"]:.0f} seconds."""
    )
    return f"{said}\n\n{_table(head, body, numbers=7)}"


def scale() -> str:
    """What many trials cost the driver."""
    results = _read("scale")
    told = results["summary"]
    rows = {(row["kind"], row["trials"]): row for row in results["rows"]}
    bayesian, bucket, random = rows["bayesian", 1000], rows["bucket saving", 300], rows["random", 10_000]
    return _prose(
        f"""`benchmarks/scale.py` ran searches of up to 10,000 trials that take no time, on two CPU cores:
        {told["ms_per_trial_10000"]:.0f} ms a trial, {told["growth"]:.2f} times what a trial of 1,000 takes
        ({bayesian["ms_per_trial"]:.0f} ms with Bayesian search, at 1,000); {told["ms_per_report"]:.1f} ms a report;
        {told["driver_peak_mib"]:.0f} MiB for the driver; {random["open_seconds"]:.2f} s to open the results,
        {told["resume_seconds"]:.1f} s until a resumed run begins its first new trial; in a bucket,
        {bucket["requests_per_trial"]:.0f} requests a trial with two checkpoints, those of the workers included."""
    )


def thousand() -> str:
    """What these figures say of a cluster that was not tried."""
    told = _read("scale")["summary"]
    reports = 1000 / 30
    return _prose(
        f"""No cluster of that size was tried. By these figures the driver starts and ends some
        {1000 / told["ms_per_trial_10000"]:.0f} trials a second and hears some {1000 / told["ms_per_report"]:.0f}
        reports: 1,000 GPUs that report once in 30 seconds are {reports:.0f} a second,
        {reports * told["ms_per_report"] / 1000:.0%} of its time. 10,000 trials fit into
        {told["driver_peak_mib"] / 1024:.1f} GiB."""
    )


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part for part in (quality, training, pruning, filters, prepare, chaos, scale, thousand)
}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _table(head: Sequence[str], body: Sequence[Sequence[str]], numbers: int) -> str:
    """A table in Markdown whose last columns are numbers."""
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False)


if __name__ == "__main__":
    for page in PAGES:
        file = ROOT / page
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
