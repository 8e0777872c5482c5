"""The page on a dataset: one HTML file that needs no network, to look at before anything is trained."""

from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorizer.pairing import Tally
from colorizer.preparing.first_pass import Example, Rejections
from colorizer.preparing.look import SIDE
from colorizer.preparing.markup import card, esc, gallery, histogram, section, table

REPORT_FILE = "report.html"

# The browser itself refuses what the page should never do: run, load or send anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_CHANNELS = ("red", "green", "blue")
_LABELS_SHOWN = 40


@dataclass(frozen=True)
class Findings:
    """What the page tells.

    Attributes:
        name: of the collection.
        made: sentences on how the dataset was made.
        counts: drawings per split.
        labels: label -> drawings per split.
        groups, alike: how many groups there are, and how many drawings share theirs with another.
        statistics: of the training split, see `preparing.statistics`.
        values: split -> (4, 256), how often line, red, green, blue of the inputs have each value of 0 to 255.
        measures: (N,) records of `first_pass.MEASURES` of the drawings in the dataset.
        samples: split -> some of its drawings.
        families: some of the groups of several: how many drawings, and some of them.
        rejections: what was passed over.
        others: more that was passed over, in words -> how many.
    """

    name: str
    made: list[str]
    counts: dict[str, int]
    labels: dict[str, dict[str, int]]
    groups: int
    alike: int
    statistics: dict[str, Any]
    values: dict[str, NDArray[np.int64]]
    measures: NDArray[np.void]
    samples: dict[str, list[Example]]
    families: list[tuple[int, list[Example]]]
    rejections: Rejections
    others: dict[str, Tally]


def page(findings: Findings) -> str:
    """The page as HTML."""
    sections = [
        _splits(findings),
        _samples(findings),
        _inputs(findings),
        _drawings(findings),
        _families(findings),
        _left_out(findings),
    ]
    css = resources.files("colorizer.preparing").joinpath("report.css").read_text(encoding="utf-8")
    total = sum(findings.counts.values())
    passed_over = sum(tally.count for tally in findings.rejections.tallies.values())
    counts = ", ".join(f"{count:,} {split}" for split, count in findings.counts.items())
    lede = f"{total:,} drawings: {counts}. {passed_over:,} passed over."
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(findings.name)} – huetune data report</title><style>{css}</style></head><body><main>"
        f'<header><p class="kicker">huetune data report</p><h1>{esc(findings.name)}</h1><p class="lede">{lede}</p>'
        f'<p class="meta">{esc(" ".join(findings.made))}</p></header>{"".join(sections)}</main></body></html>\n'
    )


def _splits(findings: Findings) -> str:
    total = sum(findings.counts.values())
    rows = [(split, f"{n:,}", f"{n / total:.1%}") for split, n in findings.counts.items()]
    cards = [card("Drawings", table("Drawings per split", ["split", "drawings", "share"], rows))]
    if findings.labels:
        by_size = sorted(findings.labels.items(), key=lambda item: (-sum(item[1].values()), item[0]))
        labelled = [(label, *(f"{n:,}" for n in counts.values())) for label, counts in by_size[:_LABELS_SHOWN]]
        more = len(by_size) - len(labelled)
        rest = f'<p class="note">and {more:,} rarer labels, see dataset.json</p>' if more > 0 else ""
        cards.append(card("Labels", table("Drawings per label", ["label", *findings.counts], labelled), rest))
    intro = "Models learn from train, searches compare on val, and test is kept for the figures that are told."
    return section("splits", "Splits", intro, [f'<div class="columns">{"".join(cards)}</div>'])


def _samples(findings: Findings) -> str:
    intro = (
        f"As a network is given them, at {SIDE} x {SIDE} pixels: laid into a white square, scaled to [-1, 1], and laid"
        " back to [0, 255]. Do the lines fit the colours?"
    )
    return section(
        "samples", "Samples", intro, [card(split, gallery(found)) for split, found in findings.samples.items()]
    )


def _inputs(findings: Findings) -> str:
    train, statistics = findings.values["train"], findings.statistics
    line, colors = statistics["line"], statistics["color"]
    figures = [_input("lines", train[0], line["mean"], line["std"])]
    figures += [
        _input(channel, counts, mean, std, channel)
        for channel, counts, mean, std in zip(_CHANNELS, train[1:], colors["mean"], colors["std"], strict=True)
    ]
    low, mid, high = statistics["density"]
    told = f"The line density of 5, 50 and 95 % of the drawings is at most {low:.3f}, {mid:.3f} and {high:.3f}."
    intro = (
        "Values of the training split, -1 black to 1 white; heights are roots of counts. Paper is 1, so drawings on"
        " paper have a mean above 0; lines with a mean below 0 are white on black."
    )
    parts = [
        card("What networks are given", f'<div class="figures">{"".join(figures)}</div>', f"<p class=note>{told}</p>")
    ]
    return section("inputs", "Inputs", intro, parts)


def _input(title: str, counts: NDArray[np.int64], mean: float, std: float, css: str = "") -> str:
    found = np.flatnonzero(counts) / 127.5 - 1
    note = f"from {found[0]:.2f} to {found[-1]:.2f}, mean {mean:.2f}, spread {std:.2f}"
    return histogram(title, counts.reshape(32, 8).sum(axis=1), ["-1", "0", "1"], note, css)


def _drawings(findings: Findings) -> str:
    measures = findings.measures
    longer = np.maximum(measures["width"], measures["height"]).astype(np.float64)
    shorter = np.minimum(measures["width"], measures["height"])
    grey = int((measures["colourfulness"] < 1).sum())
    figures = [
        _spread("line density", measures["density"]),
        _spread("box of the subject, share", measures["subject"], high=1.0),
        _spread("colourfulness", measures["colourfulness"], f"{grey:,} are grey"),
        _spread("longer side in pixels", longer),
        _spread("longer over shorter side", longer / shorter, low=1.0, high=max(2.0, float((longer / shorter).max()))),
    ]
    intro = "All drawings of the dataset. What lies far from the rest is worth a look: each measure has a limit."
    return section("drawings", "Drawings", intro, [card("Measures", f'<div class="figures">{"".join(figures)}</div>')])


def _spread(title: str, values: NDArray[Any], more: str = "", low: float = 0.0, high: float | None = None) -> str:
    top = float(values.max()) if high is None else high
    counts, _ = np.histogram(values, bins=32, range=(low, max(top, low + 1e-6)))
    told = [
        f"from {values.min():.4g} to {values.max():.4g}, half below {np.median(values):.4g}",
        *([more] if more else []),
    ]
    return histogram(title, counts, [f"{low:.4g}", f"{top:.4g}"], "; ".join(told))


def _families(findings: Findings) -> str:
    if not findings.families:
        nothing = '<p class="note">No drawing looks like another.</p>'
        return section("alike", "Alike", "", [card("Groups of several", nothing)])
    intro = (
        f"{findings.alike:,} drawings have the line art of another, or look like it. Each such group is in one split,"
        f" so that no model is judged by what it has learnt. The largest of {findings.groups:,} groups:"
    )
    cards = [card(f"{count} drawings", gallery(shown)) for count, shown in findings.families]
    return section("alike", "Alike", intro, [f'<div class="columns">{"".join(cards)}</div>'])


def _left_out(findings: Findings) -> str:
    tallies = {str(reason): tally for reason, tally in findings.rejections.tallies.items()}
    rows = [
        (reason, f"{tally.count:,}") for reason, tally in [*tallies.items(), *findings.others.items()] if tally.count
    ]
    if not rows:
        return section("left-out", "Passed over", "", [card("Reasons", '<p class="note">Nothing.</p>')])
    cards = [card("Reasons", table("Files passed over by reason", ["reason", "files"], rows))]
    for reason, examples in findings.rejections.examples.items():
        cards.append(card(f"{reason}: {tallies[reason].count:,}", gallery(examples)))
    intro = "Does any of them belong in the dataset? Then change the limit that took it, an option of huetune prepare."
    return section("left-out", "Passed over", intro, cards)
