"""The facts that reproduce a run: its command in the answer, all of them at the foot of the page."""

import shlex
from collections.abc import Mapping
from typing import Any

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


def reproduce(definition: Mapping[str, Any]) -> str:
    """The commands that make the run again, to copy; of a run from Python, the program that did."""
    commit, seed = definition.get("git_commit"), definition.get("seed")
    at = f" at commit <code>{esc(commit)}</code>" if commit else ""
    seeded = "" if seed is None else f", seed {esc(seed)}"
    head = "<h3>Run it again</h3>"
    if (command := _command(definition)) is None:
        program = definition.get("command")
        by = f", by <code>{esc(program)}</code>" if program else ""
        text = f"This search was started from Python{by}{at}{seeded}: there is no huetune command that repeats it."
        return f'<div class="card code again">{head}<p class="caption">{text}</p></div>'
    lines = [*([f"git checkout {shlex.quote(str(commit))}"] if commit else []), command, *_later(definition)]
    name = definition.get("name")
    free = f" No run is overwritten: give it another <code>--name</code> where there is a run {esc(name)} already."
    about = (
        f"From the folder it was started in{seeded}. What was not committed then is not in that commit."
        if commit
        else (f"From the folder it was started in{seeded}. No git commit was recorded.")
    )
    return (
        f'<div class="card code again">{head}'
        '<button type="button" class="copy" data-copy="reproduce">Copy</button>'
        f'<pre tabindex="0" id="reproduce"><code>{esc(chr(10).join(lines))}</code></pre>'
        f'<p class="caption">{about}{free if name else ""}</p></div>'
    )


def _command(definition: Mapping[str, Any]) -> str | None:
    """The huetune command that started a run; None where it was started from Python."""
    command, file = str(definition.get("command") or ""), definition.get("file")
    if command.split(" ", 1)[0] == "huetune":
        return command
    if not file:
        return None
    # Started through `python -m` or another wrapper, whose name says little.
    name = ["--name", str(definition["name"])] if definition.get("name") else []
    return shlex.join(["huetune", "run", str(file), *map(str, definition.get("arguments") or []), *name])


def _later(definition: Mapping[str, Any]) -> list[str]:
    """The commands that extended the run: with a resume alone it would be no other."""
    commands = [str(session.get("command") or "") for session in (definition.get("sessions") or [])[1:]]
    return [command for command in commands if command.startswith("huetune extend ")]


def when(told: object) -> str:
    at = moment(told)
    return f"{at.day} {at.strftime('%B %Y, %H:%M')} {at.tzname() or ''}".strip() if at else ""
