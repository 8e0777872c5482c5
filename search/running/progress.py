"""One calm table in the terminal while a run goes on: a Ray Tune `Callback`."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.console import setting
from search.running.ledger import ENDED
from search.running.recorder import Recorder
from search.space import Space

_REDRAW_SECONDS = 0.5
# Where nobody watches a terminal, one line now and then says the same.
_LINE_SECONDS = 30.0
# So long nothing may run before it is said what that means.
_PATIENCE_SECONDS = 10.0
# Showing may take this share of the driver's time, however many trials there are to count.
_SHARE = 0.05


class Progress(Callback):
    """Shows how many trials are done, running, stopped and failed, the best so far, the time and an estimate.

    Args:
        recorder: what there is to show.
        trials: how many the search asks for; None where its method ends by itself.
        space: the parameters worth naming beside the best score.
        console: where to show it.
    """

    def __init__(self, recorder: Recorder, trials: int | None, space: Space, console: Console) -> None:
        self._recorder, self._trials, self.console = recorder, trials, console
        self._varied = [axis.name for axis in space.axes]
        self._began = self._shown = time.monotonic()
        self._earlier = recorder.ended
        self._ended = False
        self._idle_since: float | None = None
        self._last_line, self._last_cost = "", 0.0
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune keeps its callbacks in a file; a terminal cannot go there and is made anew on resuming.
        return {}

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._show(force=True)
        if self._live:
            self._live.stop()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Draw anew if it is time."""
        self._show()

    def _show(self, force: bool = False) -> None:
        now = time.monotonic()
        due = max(_REDRAW_SECONDS if self._live else _LINE_SECONDS, self._last_cost / _SHARE)
        if not force and now - self._shown < due:
            return
        rows = self._recorder.ledger.rows()
        if self._live:
            self._live.update(self._table(rows), refresh=True)
        elif (line := self._line(rows)) != self._last_line:
            self.console.print(line, highlight=False, soft_wrap=True)
            self._last_line = line
        self._shown = time.monotonic()
        self._last_cost = self._shown - now

    def _counts(self, rows: list[dict[str, Any]]) -> tuple[Counter[str], int]:
        counts = Counter(row["status"] for row in rows)
        return counts, sum(counts[s] for s in ENDED)

    def _waits(self, counts: Counter[str]) -> bool:
        """Whether nothing runs, for longer than a machine that is there takes to begin."""
        if counts["running"] or self._ended:
            self._idle_since = None
            return False
        self._idle_since = self._idle_since or time.monotonic()
        return time.monotonic() - self._idle_since > _PATIENCE_SECONDS

    def _best(self, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        scored = [row for row in rows if row["score"] is not None]
        choose: Any = min if self._recorder.ledger.mode == "min" else max
        return choose(scored, key=lambda row: row["score"]) if scored else None

    def _line(self, rows: list[dict[str, Any]]) -> str:
        counts, done = self._counts(rows)
        best = self._best(rows)
        parts = [
            f"{done} trials done" if self._trials is None else f"{done}/{self._trials} trials done",
            *(f"{counts[s]} {s}" for s in ("running", "stopped", "failed")),
        ]
        if best:
            parts.append(f"best {self._recorder.guard.metric} {best['score']:.5g} (trial {best['number']})")
        if self._waits(counts):
            parts.append("waiting for a machine")
        return ", ".join([*parts, self._time(done)])

    def _table(self, rows: list[dict[str, Any]]) -> RenderableType:
        counts, done = self._counts(rows)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", justify="right", no_wrap=True)
        table.add_column()
        states = Text()
        styles = {
            "finished": "green",
            "running": "cyan",
            "stopped": "yellow",
            "failed": "red",
            "out of memory": "red",
            "interrupted": "yellow",
        }
        for state, style in styles.items():
            if counts[state] or state in ("finished", "running"):
                states.append(f"{counts[state]} {state}   ", style=style if counts[state] else "dim")
        if self._trials is not None:
            table.add_row("trials", ProgressBar(total=self._trials, completed=done, width=40))
        if self._waits(counts):
            states.append("waiting for a machine", style="yellow")
        asked = "" if self._trials is None else f"of {self._trials} "
        table.add_row("", Text(f"{done} {asked}done   ").append_text(states))
        best = self._best(rows)
        if best:
            score = Text(f"{self._recorder.guard.metric} {best['score']:.5g}", style="bold")
            table.add_row("best", score.append(f"   trial {best['number']}", style="dim"))
            table.add_row("", Text(self._settings(best), style="dim"))
        table.add_row("time", self._time(done))
        return Group(table)

    def _settings(self, best: dict[str, Any]) -> str:
        return "  ".join(setting(name, best.get(f"config.{name}")) for name in self._varied)

    def _time(self, done: int) -> str:
        spent = time.monotonic() - self._began
        if self._ended or (self._trials is not None and done >= self._trials):
            return _span(spent)
        new = done - self._earlier
        if self._trials is None or not new:
            return f"{_span(spent)} so far"
        return f"{_span(spent)} so far, about {_span(spent / new * (self._trials - done))} to go"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
