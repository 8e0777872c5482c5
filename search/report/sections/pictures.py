"""The section of pictures: line, best single model, ensemble, truth."""

from collections.abc import Sequence

from search.report.markup import data_uri, esc, note, section
from search.report.tables.ensemble import Example, examples, gains
from search.report.tables.snapshot import Snapshot
from search.report.wording import metric_name, metric_unit, number, with_unit

KIND_NAMES = {"line": "line", "best_single": "best single", "ensemble": "ensemble", "truth": "truth"}


def pictures(snap: Snapshot, command: str) -> str:
    """Rows of pictures: line, best single, ensemble, truth."""
    shown = examples(snap)
    if not shown:
        text = f"There are no pictures yet. <code>{esc(command)}</code> draws them with the ensemble it makes."
        return section("pictures", "Pictures", [note(text)])
    kinds = [k for k in KIND_NAMES if any(k in e.images for e in shown)]
    kinds += sorted({k for e in shown for k in e.images} - set(kinds))
    scores = gains(snap)
    metric = scores.attrs["metric"] if scores is not None else ""
    cards = "".join(_example(example, kinds, metric) for example in shown)
    text = (
        "Examples of the test split, which no model was trained on, chosen evenly"
        + (", and those where the ensemble does worst." if any(e.worst for e in shown) else ".")
        + (f" The number under a picture is its {esc(metric_name(metric))}." if metric else "")
    )
    return section("pictures", "Pictures", [f'<p class="intro">{text}</p><div class="examples">{cards}</div>'])


def _example(example: Example, kinds: Sequence[str], metric: str) -> str:
    cells = []
    for kind in kinds:
        uri = data_uri(example.images.get(kind, b""))
        name = KIND_NAMES.get(kind, kind)
        image = (
            f'<img src="{uri}" alt="{esc(example.name)}: {esc(name)}" decoding="async">'
            if uri
            else '<span class="missing">no picture</span>'
        )
        score = example.scores.get(kind)
        told = (
            f'<span class="score">{with_unit(number(score, 3), metric_unit(metric))}</span>'
            if score is not None
            else ""
        )
        cells.append(f"<li>{image}<span>{esc(name)}</span>{told}</li>")
    badge = ' <span class="badge">among the worst</span>' if example.worst else ""
    css = " worst" if example.worst else ""
    return (
        f'<article class="example{css}"><h3>{esc(example.name)}{badge}</h3>'
        f'<ul style="--kinds:{len(kinds)}">{"".join(cells)}</ul></article>'
    )
