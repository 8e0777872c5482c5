"""The section with the table of trials; the page's script fills it."""

import json

from search.report.markup import embedded_json
from search.report.tables.snapshot import Snapshot
from search.report.tables.trials import trial_table


def trials(snap: Snapshot) -> str:
    """The table of trials, to sort, filter and search."""
    head = '<section id="trials"><h2><a href="#trials" aria-label="Link to Trials">Trials</a></h2>'
    if not len(snap.trials):
        return f'{head}<p class="note">No trial has begun yet.</p></section>'
    data = json.dumps(trial_table(snap), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (
        f'{head}<div class="card"><div class="tools"><label for="filter">Filter</label>'
        '<input id="filter" type="search" autocomplete="off" '
        'placeholder="a number, a status, a value, an error …">'
        '<span id="shown" role="status"></span></div>'
        '<button type="button" id="from-first" hidden></button>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Trials">'
        '<table id="trial-table" class="numbers"><thead></thead><tbody></tbody></table></div>'
        '<button type="button" id="more" hidden>Show more</button>'
        "<noscript><p>The table of trials needs JavaScript.</p></noscript></div>"
        f'<script type="application/json" id="trial-data">{embedded_json(data)}</script>'
        "</section>"
    )
