"""The foot of the page: the facts that reproduce the run."""

from search.report.markup import esc, section
from search.report.tables.snapshot import Snapshot, moment


def about(snap: Snapshot) -> str:
    """The facts that reproduce the run."""
    d = snap.definition
    versions = ", ".join(f"{k} {v}" for k, v in (d.get("versions") or {}).items())
    facts = {
        "Command": d.get("command"),
        "Commit": d.get("git_commit"),
        "Trainable": d.get("trainable"),
        "Method": d.get("method"),
        "Scheduler": d.get("scheduler"),
        "Seed": d.get("seed"),
        "Score of a trial": {"best": "its best report", "last": "its last report"}.get(
            str(d.get("score")), d.get("score")
        ),
        "Resources a trial": ", ".join(f"{v} {k}" for k, v in (d.get("resources") or {}).items()),
        "Started": when(d.get("started")),
        "Ended": when(d.get("ended")),
        "Versions": versions,
    }
    code, literal = "<code>{}</code>", ("Command", "Commit")
    rows = "".join(
        f"<div><dt>{esc(k)}</dt><dd>{code.format(esc(v)) if k in literal else esc(v)}</dd></div>"
        for k, v in facts.items()
        if v not in (None, "")
    )
    return section("about", "About this run", [f'<dl class="facts card">{rows}</dl>'])


def when(told: object) -> str:
    at = moment(told)
    return f"{at.day} {at.strftime('%B %Y, %H:%M')} {at.tzname() or ''}".strip() if at else ""
