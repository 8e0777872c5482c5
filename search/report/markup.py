"""Small pieces of HTML, each safe for any text: escaped here, and nowhere forgotten."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from search.report.tables.snapshot import NothingToShow, Snapshot

if TYPE_CHECKING:
    from search.report.chart import Chart, Drawn


def esc(text: object) -> str:
    """Text as HTML shows it literally, in an element or in an attribute."""
    return html.escape(str(text), quote=True)


def embedded_json(data: Any) -> str:
    """JSON that nothing inside can end the surrounding <script> element."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def trial_link(number: int) -> str:
    """A link that opens the trial in the table of trials."""
    return f'<a href="#trial-{number}" class="trial-link">Trial {number}</a>'


def card(title: str, body: str, css: str = "card") -> str:
    """A card with a heading. `body` is HTML."""
    return f'<div class="{css}"><h3>{esc(title)}</h3>{body}</div>'


def note(sentence: str) -> str:
    """What stands in place of a figure that would say nothing. `sentence` is HTML."""
    return f'<p class="note">{sentence}</p>'


def section(anchor: str, title: str, parts: Iterable[str]) -> str:
    """A section with a heading that links to itself."""
    head = f'<h2><a href="#{anchor}" aria-label="Link to {esc(title)}">{esc(title)}</a></h2>'
    return f'<section id="{anchor}">{head}{"".join(parts)}</section>'


def table(head: list[str], rows: list[list[str]], marked: int | None = None, label: str = "") -> str:
    """A table of HTML cells: the first column names the row, the others are numbers. `marked` is a row in use."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = []
    for index, (name, *cells) in enumerate(rows):
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        body.append(f'<tr{" class=marked" if index == marked else ""}><th scope="row">{name}</th>{values}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(label)}"><table class="numbers">'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


@dataclass
class Sheet:
    """The figures of a page: places each in a card, drawn when scrolled to."""

    drawn: set[str] = field(default_factory=set)

    def place(self, chart: Chart, snap: Snapshot) -> str:
        """A card with the figure, or with the reason why there is none."""
        try:
            made = chart.drawn(snap)
        except NothingToShow as nothing:
            return card(chart.title, note(esc(nothing)))
        return self._card(chart, made)

    def _card(self, chart: Chart, made: Drawn) -> str:
        name = self._name(chart.name)
        height = int(made.figure.layout.height or 380)
        about = f'<p class="caption">{made.caption}</p>' if made.caption else ""
        level, title = chart.level, esc(chart.title)
        # Who has no mouse swipes with the arrow keys.
        swiped = ' tabindex="0"' if "wide" in chart.css.split() else ""
        return (
            f'<figure class="{chart.css}" id="{name}"><h{level} id="{name}-title">{title}</h{level}>{about}'
            f'<div class="plot-scroll"{swiped}><div class="plot" id="{name}-plot" role="img" style="height:{height}px" '
            f'aria-label="{title}. {esc(made.description)}"></div></div>'
            f'<script type="application/json" data-for="{name}-plot">{embedded_json(made.figure.to_json())}</script>'
            "</figure>"
        )

    def each(self, charts: Iterable[Chart], snap: Snapshot) -> list[str]:
        """The cards of several charts; those with nothing to show are told in one card at the end."""
        cards: list[str] = []
        silent: dict[str, list[str]] = {}
        for chart in charts:
            try:
                cards.append(self._card(chart, chart.drawn(snap)))
            except NothingToShow as nothing:
                silent.setdefault(str(nothing), []).append(chart.title)
        if silent:
            told = (f"<li><strong>{esc(' · '.join(of))}</strong><br>{esc(why)}</li>" for why, of in silent.items())
            cards.append(card("Not drawn here", f'<ul class="silent">{"".join(told)}</ul>'))
        return cards

    def _name(self, wanted: str) -> str:
        """An id of its own: names of parameters hold anything."""
        plain = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "figure"
        number = next(n for n in range(1, len(self.drawn) + 2) if _numbered(plain, n) not in self.drawn)
        self.drawn.add(_numbered(plain, number))
        return _numbered(plain, number)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
