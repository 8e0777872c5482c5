"""The section of pictures: line, best single model, ensemble, truth; the same drawings over trials and iterations."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from search.report.markup import esc, note, section, trial_link
from search.report.tables.ensemble import Example, examples, gains
from search.report.tables.gallery import Row, Stop, Strip, strip
from search.report.tables.snapshot import Snapshot
from search.report.webp import BUDGET, fitted
from search.report.wording import count, metric_name, metric_unit, number, with_unit

KIND_NAMES = {"line": "line", "best_single": "best single", "ensemble": "ensemble", "truth": "truth"}
_FIRST = 4  # examples that matter more than the strips where not everything has room


class _Told(NamedTuple):
    """What pictures are, and what their scores are in."""

    uris: Mapping[bytes, str]
    metric: str

    def image(self, data: bytes, about: str) -> str:
        """An <img>, or a blank that says there is none."""
        uri = self.uris.get(data)
        if uri is None:
            return '<span class="missing">no picture</span>'
        return f'<img src="{uri}" alt="{esc(about)}" decoding="async">'

    def score(self, value: float | None) -> str:
        if value is None or math.isnan(value):
            return ""
        return f'<span class="score">{with_unit(number(value, 3), metric_unit(self.metric))}</span>'


def pictures(snap: Snapshot, command: str, budget: int = BUDGET) -> str:
    """Rows of pictures, and strips of the same drawing over the trials and over the iterations of the best one.

    All pictures together take at most `budget` characters; the last of them are left out where that is too little.
    """
    shown = examples(snap)
    if not shown:
        text = f"There are no pictures yet. <code>{esc(command)}</code> draws them with the ensemble it makes."
        return section("pictures", "Pictures", [note(text)])
    kinds = [k for k in KIND_NAMES if any(k in e.images for e in shown)]
    kinds += sorted({k for e in shown for k in e.images} - set(kinds))
    strips = {kind: found for kind in ("trials", "iterations") if (found := strip(snap, kind, shown))}
    ranked: list[tuple[str, Example | Row]] = [("example", example) for example in shown]
    ranked[_FIRST:_FIRST] = [(kind, row) for kind, found in strips.items() for row in found.rows]
    held = fitted([_bytes(one) for _, one in ranked], budget)
    kept = ranked[: held.kept]
    scores = gains(snap)
    told = _Told(held.uris, scores.attrs["metric"] if scores is not None else "")
    on_page = [one for _, one in kept if isinstance(one, Example)]
    cards = "".join(_example(example, kinds, told) for example in on_page)
    parts = [f'<p class="intro">{_intro(on_page, len(shown), told.metric)}</p><div class="examples">{cards}</div>']
    for kind, found in strips.items():
        rows = [one for name, one in kept if name == kind and isinstance(one, Row)]
        if rows:
            parts.append(_strip(kind, found, rows, told, snap))
    return section("pictures", "Pictures", parts)


def _bytes(one: Example | Row) -> list[bytes]:
    return [*one.images.values()] if isinstance(one, Example) else [*one.images, one.truth]


def _intro(on_page: Sequence[Example], of: int, metric: str) -> str:
    text = "Examples of the test split, which no model was trained on, chosen evenly"
    text += ", and those where the ensemble does worst." if any(e.worst for e in on_page) else "."
    if metric:
        text += f" The number under a picture is its {esc(metric_name(metric))}."
    left = of - len(on_page)
    if left:
        text += f" {count(left, 'more example is', 'more examples are')} left out, so that the page stays small."
    return text


def _example(example: Example, kinds: Sequence[str], told: _Told) -> str:
    cells = []
    for kind in kinds:
        name = KIND_NAMES.get(kind, kind)
        image = told.image(example.images.get(kind, b""), f"{example.name}: {name}")
        cells.append(f"<li>{image}<span>{esc(name)}</span>{told.score(example.scores.get(kind))}</li>")
    badge = ' <span class="badge">among the worst</span>' if example.worst else ""
    css = " worst" if example.worst else ""
    return (
        f'<article class="example{css}"><h3>{esc(example.name)}{badge}</h3>'
        f'<ul style="--kinds:{len(kinds)}">{"".join(cells)}</ul></article>'
    )


def _strip(kind: str, strip: Strip, rows: Sequence[Row], told: _Told, snap: Snapshot) -> str:
    """A card with a table: a column a checkpoint, a row a drawing, the truth before each row."""
    title, caption = _over_trials(strip, snap) if kind == "trials" else _over_iterations(strip)
    head = "".join(f'<th scope="col">{_head(kind, stop, snap)}</th>' for stop in strip.stops)
    body = "".join(_drawing(kind, strip, row, told) for row in rows)
    left = len(strip.rows) - len(rows)
    more = f" {count(left, 'more drawing has', 'more drawings have')} no room on the page." if left else ""
    return (
        f'<div class="card gallery"><h3>{title}</h3><p class="caption">{caption}{more}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table><thead><tr><th scope="col">truth</th>{head}</tr></thead><tbody>{body}</tbody></table></div></div>'
    )


def _over_trials(strip: Strip, snap: Snapshot) -> tuple[str, str]:
    kept = int((snap.counted()["checkpoint"].notna()).sum())
    which = f"{len(strip.stops)} of the {kept} trials" if kept > len(strip.stops) else "The trials"
    caption = (
        f"{which} whose checkpoint was kept, best first. At the top: the trial's score on validation, by which they "
        "are ranked. Under a picture: its own score, on test."
    )
    return "The same drawings over the trials", caption


def _over_iterations(strip: Strip) -> tuple[str, str]:
    first, *others = {stop.number for stop in strip.stops}
    whose = f"{trial_link(first)}, the best," if first is not None and not others else "The best trial"
    caption = (
        f"{whose} as it learned: its snapshots, earliest first. At the top: the score on validation at that "
        "iteration. Under a picture: its own score, on test."
    )
    return "The same drawings over the iterations of the best trial", caption


def _head(kind: str, stop: Stop, snap: Snapshot) -> str:
    score = "" if math.isnan(stop.score) else f"<span>{with_unit(number(stop.score), snap.goal.unit)}</span>"
    if kind == "iterations":
        return f"iteration {stop.iteration}{score}"
    return f"{esc(stop.trial_id) if stop.number is None else trial_link(stop.number)}{score}"


def _drawing(kind: str, strip: Strip, row: Row, told: _Told) -> str:
    cells = []
    for stop, image, score in zip(strip.stops, row.images, row.scores, strict=True):
        who = f"iteration {stop.iteration}" if kind == "iterations" else f"trial {stop.number or stop.trial_id}"
        cells.append(f"<td>{told.image(image, f'{row.name}: {who}')}{told.score(score)}</td>")
    truth = told.image(row.truth, f"{row.name}: truth")
    return f'<tr><th scope="row">{truth}<span>{esc(row.name)}</span></th>{"".join(cells)}</tr>'
