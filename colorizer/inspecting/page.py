"""What is known of a model on one self-contained page: scores, what its errors share, drawings, what it has learnt.

It belongs to the command that writes it, and looks like the reports of runs.
"""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from colorizer.baselines import WORDS
from colorizer.inspecting.error_analysis import Finding
from colorizer.inspecting.inspection import KINDS, Inspection, Pixels, Shown
from search.report.markup import card, esc, note, section, table
from search.report.shell import shell
from search.report.webp import fitted
from search.report.wording import DASH, capital, count, decimals, fixed, metric_name, metric_unit

MEASURES = ("psnr", "ssim", "ciede2000", "colourfulness")
_TITLES = {"worst": "The worst", "best": "The best", "typical": "Typical ones, around the median"}
_BUDGET = 4_000_000  # characters that the drawings may take
_NETWORK_BUDGET = 1_500_000  # and the pictures of the network
_STYLE = """
.sheet { display: block; width: 100%; max-width: 640px; height: auto; border-radius: 6px; border: 1px solid var(--rule);
  image-rendering: pixelated; margin-top: 12px; }
.said { display: grid; gap: 8px; padding-left: 22px; margin: 0 0 20px; }
.verdicts { margin-bottom: 20px; }
#drawings h3 { margin: 36px 0 14px; }
.example .meta { margin-top: 4px; }
.examples > .card { margin: 0; }
"""


def page(told: Inspection) -> str:
    """The page as HTML: no script in it, and nothing that it loads."""
    sections = {
        "answer": ("Scores", _answer(told)),
        "errors": ("Errors", _errors(told)),
        "drawings": ("Drawings", _drawings(told)),
        "network": ("Network", _network(told)),
        "about": ("About", section("about", "About", [_facts(told.facts)])),
    }
    return shell(
        f"{told.name} · huetune inspect",
        {anchor: name for anchor, (name, body) in sections.items() if body},
        (body for _, body in sections.values()),
        skip="Skip to the scores",
        style=_STYLE,
    )


def score_rows(told: Inspection) -> list[tuple[str, list[float]]]:
    """The model and the baselines, each with its `MEASURES`."""
    rows = [("this model", told.scores), *((WORDS[name], of) for name, of in told.baselines.items())]
    return [(name, [scores[measure] for measure in MEASURES]) for name, scores in rows]


def _answer(told: Inspection) -> str:
    psnr = told.scores["psnr"]
    beside = " and ".join(f"{esc(WORDS[name])} has {of['psnr']:.2f}" for name, of in told.baselines.items())
    lede = (
        f"<strong>{psnr:.2f} dB</strong> PSNR on the {count(len(told.seen.names), 'drawing')} of the {told.split_name}"
    )
    head = [
        f"<header><p class=kicker>huetune inspect</p><h1>{esc(told.name)}</h1>",
        f'<p class="lede">{lede}{f"; {beside}" if beside else ""}.</p></header>',
    ]
    if told.verdicts:
        cards = "".join(f'<div class="verdict"><h3>{esc(capital(said))}</h3></div>' for said in told.verdicts)
    else:
        cards = '<div class="verdict clear"><h3>Nothing looks wrong</h3></div>'
    rows = score_rows(told)
    places = [decimals(column) for column in zip(*(values for _, values in rows), strict=True)]
    body = [
        [esc(capital(name)), *(fixed(value, digits) for value, digits in zip(values, places, strict=True))]
        for name, values in rows
    ]
    units = [f", {unit}" if (unit := metric_unit(name)) else "" for name in MEASURES]
    names = [esc(capital(metric_name(name))) + unit for name, unit in zip(MEASURES, units, strict=True)]
    scores = table(["", *names], body, marked=0, label="Scores beside baselines")
    caption = (
        "Baselines cost no training: a model that is worth its own is better. PSNR and SSIM: higher is better; "
        "CIEDE2000: lower is better; colourfulness is the ratio to the truth."
    )
    scores = card("Scores beside baselines", f'<p class="caption">{caption}</p>{scores}')
    return f'<section id="answer">{"".join(head)}<div class="verdicts">{cards}</div>{scores}</section>'


def _errors(told: Inspection) -> str:
    sure = [one for one in told.findings if one.sure]
    if not told.findings:
        return section("errors", "What errors share", [note("There are too few drawings to say what errors share.")])
    said = "".join(f"<li>{esc(one.said)}</li>" for one in sure)
    text = f'<ul class="said">{said}</ul>' if sure else note("Nothing that was looked at goes surely with errors.")
    rows = [
        [
            f'{esc(one.about if one.is_label else capital(one.about))}<span class="kind">{_kind(one)}</span>',
            f"{fixed(one.value, 2)}{' times' if one.is_label else ''}",
            f"{fixed(one.low, 2)} to {fixed(one.high, 2)}",
            "yes" if one.sure else DASH,
            f"{one.count:,}",
        ]
        for one in told.findings
    ]
    caption = (
        "Rank correlations of the squared error with what drawings are like, and the typical (geometric mean) squared "
        f"error of a label over that of the others. As {count(len(told.findings), 'thing')} are looked at, the level "
        "of each interval is raised until all together hold at 95 %; bootstrapped over groups of drawings that are "
        "alike. What goes together need not cause each other."
    )
    head = ["What", "Value", "Interval", "Sure", "Drawings"]
    looked = table(head, rows, label="All that was looked at")
    return section(
        "errors",
        "What errors share",
        [text, card("All that was looked at", f'<p class="caption">{caption}</p>{looked}')],
    )


def _kind(one: Finding) -> str:
    return "label" if one.is_label else "rank correlation"


def _drawings(told: Inspection) -> str:
    flat = [(kind, one) for kind, several in told.drawings.items() for one in several]
    encoded = [[_png(picture) for picture in one.pictures] for _, one in flat]
    held = fitted(encoded, _BUDGET)
    intro = (
        "Under each drawing: the lines that the model saw, its colours, the true ones, and where it errs, from black "
        "(not at all) to white (half the range of colours or more)."
    )
    left = len(flat) - held.kept
    if left:
        intro += f" {count(left, 'drawing has', 'drawings have')} no room on the page."
    parts = [f'<p class="intro">{intro}</p>']
    kept = list(zip(flat, encoded, strict=True))[: held.kept]
    for kind, title in _TITLES.items():
        cards = [_example(told, one, pngs, held.uris) for (of, one), pngs in kept if of == kind]
        if cards:
            parts.append(f'<h3>{title}</h3><div class="examples">{"".join(cards)}</div>')
    return section("drawings", "Drawings", parts)


def _example(told: Inspection, one: Shown, pngs: Sequence[bytes], uris: Mapping[bytes, str]) -> str:
    seen, at = told.seen, one.position
    cells = "".join(
        f'<li><img src="{uris[png]}" alt="{esc(f"{seen.names[at]}: {kind}")}"><span>{kind}</span></li>'
        for kind, png in zip(KINDS, pngs, strict=True)
    )
    scores = f"PSNR {seen.scores['psnr'][at]:.1f} dB · CIEDE2000 {seen.scores['ciede2000'][at]:.1f}"
    label = f" · {esc(seen.labels[at])}" if seen.labels and seen.labels[at] else ""
    return (
        f'<article class="example"><h4>{esc(seen.names[at])}</h4><p class="meta">{scores}{label}</p>'
        f'<ul style="--kinds:{len(KINDS)}">{cells}</ul></article>'
    )


def _network(told: Inspection) -> str:
    if told.filters is None:
        return ""
    pictures = [told.filters, *(one.picture for one in told.maps)]
    encoded = [_png(picture) for picture in pictures]
    held = fitted([[png] for png in encoded], _NETWORK_BUDGET)
    filters = _sheet(
        "First filters",
        "What each filter of the first layer multiplies the lines with: blue below zero, white for nothing, "
        "orange above. Edges and strokes have been learnt; noise has not.",
        told.filters,
        encoded[0],
        held.uris,
    )
    maps = [
        _sheet(
            f"{one.level}: {one.shown} of {count(one.channels, 'feature')}, {one.size[0]} x {one.size[1]}",
            "",
            one.picture,
            png,
            held.uris,
        )
        for one, png in zip(told.maps[: held.kept - 1], encoded[1:], strict=False)
    ]
    intro = (
        f'<p class="intro">What each level makes of {esc(told.mapped)}; each feature from its least to its largest.</p>'
    )
    return section("network", "Network", [filters, intro, f'<div class="examples">{"".join(maps)}</div>'])


def _sheet(title: str, caption: str, pixels: Pixels, png: bytes, uris: Mapping[bytes, str]) -> str:
    about = f'<p class="caption">{esc(caption)}</p>' if caption else ""
    height, width = pixels.shape[:2]
    image = f'<img class="sheet" src="{uris[png]}" width="{width}" height="{height}" alt="{esc(title)}">'
    return card(title, about + image)


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in facts.items())
    return f'<div class="card"><dl class="facts">{rows}</dl></div>'


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
