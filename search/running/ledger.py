"""What is known of every trial of a run, from its events alone: the rows of trials.parquet, and what a resume needs.

An event is a dict of JSON with the names "event" and "trial"; `Ledger.apply` says which there are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from search.params import Params, flatten

Event = dict[str, Any]
Status = Literal["pending", "running", "finished", "stopped", "failed", "out of memory", "interrupted"]
# How a trial can have ended; the others go on when the run does.
ENDED = frozenset({"finished", "stopped", "failed", "out of memory"})
FAILED = frozenset({"failed", "out of memory"})


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint of a trial beside the one that it counts by, from another of its reports.

    path: relative to the run.
    score: the metric of its report.
    """

    path: str
    iteration: int
    score: float


@dataclass
class Attempt:
    """One start of a trial, and what is known of the time until it was started again.

    Times are seconds since 1970; `reported`, the last report's, and `node` are None before the first. An attempt that
    was lost says when and why, and whether it was the trial's own fault; one that its session's end broke off does not.
    """

    started: float
    reported: float | None = None
    node: str | None = None
    lost: float | None = None
    why: str | None = None
    crashed: bool = False


@dataclass
class Entry:
    """What is known of a trial so far; becomes its row."""

    trial_id: str
    number: int
    config: Params
    suggestion: dict[str, Any]
    suggested_by: str
    resources: dict[str, float] = field(default_factory=dict)
    status: Status = "pending"
    started: datetime | None = None
    ended: datetime | None = None
    best: float | None = None
    best_iteration: int | None = None
    last: float | None = None
    iterations: int = 0
    seconds: float = 0.0
    node: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    error: str | None = None
    ended_by: str | None = None
    # The one among the best of the run, relative to the run.
    kept: str | None = None
    kept_iteration: int | None = None
    kept_score: float | None = None
    # Others of a trial that has one, latest first.
    snapshots: tuple[Snapshot, ...] = ()
    # The one to go on from, and the report it belongs to.
    latest: str | None = None
    latest_iteration: int = 0
    latest_seconds: float = 0.0
    # Where Ray Tune has put checkpoints of it, session by session, relative to the run.
    places: set[str] = field(default_factory=set)
    values: dict[int, float] = field(default_factory=dict, repr=False)
    # Where Ray Tune has put that of each iteration; it deletes older ones, and all are gone once the trial has ended.
    saved: dict[int, str] = field(default_factory=dict, repr=False)

    @property
    def crashes(self) -> int:
        """How often it has crashed by its own fault, and was tried again."""
        return sum(attempt.crashed for attempt in self.attempts)

    @property
    def named(self) -> frozenset[str]:
        """The folders in which checkpoints of it are kept, relative to the run."""
        return frozenset(snapshot.path for snapshot in self.snapshots) | ({self.kept} if self.kept else frozenset())


class Ledger:
    """The trials of a run.

    Args:
        mode: "min" or "max" of the metric.
        score: whether a trial counts by its "best" or its "last" report.
    """

    def __init__(self, mode: Literal["min", "max"], score: Literal["best", "last"] = "best") -> None:
        self.mode = mode
        self.score = score
        self.entries: dict[str, Entry] = {}
        # Those of which a checkpoint is kept: few, whatever the number of trials.
        self.kept: dict[str, Entry] = {}

    def apply(self, event: Event) -> None:
        """Take up one event.

        Args:
            event: one of
                "suggest": trial, number, config, suggestion, suggested_by;
                "start": trial, time, resources;
                "lost": trial, time, why, crashed (by its own fault), after which it starts again;
                "config": trial, config: another than it began with;
                "report": trial, iteration, seconds, node, value (None where the metric was unusable), time;
                "checkpoint": trial, path, iteration, seconds: one to go on from;
                "keep": trial, path, iteration, score; path None where the trial's has given way to a better one, and
                    its snapshots with it;
                "snapshots": trial, snapshots: all that are kept now beside that one, each with path, iteration, score;
                "end": trial, status, error, ended_by (what stopped it), time.
            Times are seconds since 1970.
        """
        kind, trial_id = event["event"], event["trial"]
        if kind == "suggest":
            named = ("number", "config", "suggestion", "suggested_by")
            self.entries[trial_id] = Entry(trial_id, **{name: event[name] for name in named})
            return
        entry = self.entries[trial_id]
        if kind == "start":
            entry.status, entry.started = "running", entry.started or _moment(event["time"])
            entry.resources = event["resources"]
            entry.attempts.append(Attempt(event["time"]))
        elif kind == "lost":
            entry.status = "interrupted"
            attempt = entry.attempts[-1]
            attempt.lost, attempt.why, attempt.crashed = event["time"], event["why"], event["crashed"]
        elif kind == "config":
            entry.config = event["config"]
        elif kind == "report":
            self._report(entry, event)
        elif kind == "checkpoint":
            entry.latest, entry.latest_iteration = event["path"], event["iteration"]
            entry.latest_seconds = event["seconds"]
            entry.places.add(event["path"].rpartition("/")[0])
            # A trial that had to go back has left those behind that it had made from there on.
            earlier = {iteration: path for iteration, path in entry.saved.items() if iteration < event["iteration"]}
            entry.saved = earlier | {event["iteration"]: event["path"]}
            entry.snapshots = tuple(one for one in entry.snapshots if one.iteration < event["iteration"])
        elif kind == "keep":
            entry.kept, entry.kept_iteration, entry.kept_score = event["path"], event["iteration"], event["score"]
            if entry.kept is None:
                entry.snapshots = ()
                self.kept.pop(trial_id, None)
            else:
                self.kept[trial_id] = entry
        elif kind == "snapshots":
            entry.snapshots = tuple(Snapshot(**snapshot) for snapshot in event["snapshots"])
        elif kind == "end":
            entry.status, entry.error, entry.ended = event["status"], event["error"], _moment(event["time"])
            entry.ended_by = event["ended_by"]
            entry.saved = {}

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value of the metric beats another; anything beats None."""
        return than is None or (value < than if self.mode == "min" else value > than)

    def rows(self) -> list[dict[str, Any]]:
        """A row for every trial that has begun, in the order in which they were suggested."""
        return [self.row(entry) for entry in self.entries.values() if entry.status != "pending"]

    def row(self, entry: Entry) -> dict[str, Any]:
        """One trial as a flat row."""
        counted = entry.best if self.score == "best" else entry.last
        suggestion = entry.suggestion
        first = self.entries.get(suggestion.get("replica_of") or "", entry)
        return {
            "trial_id": entry.trial_id,
            "number": entry.number,
            "status": entry.status,
            "stage": suggestion.get("stage"),
            "cell": suggestion.get("cell"),
            "reason": suggestion.get("reason"),
            "configuration": first.number,
            "score": None if entry.status in FAILED else counted,
            "metric.best": entry.best,
            "metric.last": entry.last,
            "metric.best_iteration": entry.best_iteration,
            "iterations": entry.iterations,
            "seconds": entry.seconds,
            "node": entry.node,
            "attempts": len(entry.attempts),
            "history": json.dumps([asdict(one) for one in entry.attempts]) if len(entry.attempts) > 1 else None,
            "checkpoint": entry.kept,
            "checkpoint_iteration": entry.kept_iteration,
            "checkpoint_score": entry.kept_score,
            "snapshots": json.dumps([asdict(one) for one in entry.snapshots]) if entry.snapshots else None,
            "error": entry.error,
            "ended_by": entry.ended_by,
            "started": entry.started,
            "ended": entry.ended,
            "suggested_by": entry.suggested_by,
            "config": json.dumps(entry.config),
            **{f"resources.{name.lower()}": amount for name, amount in entry.resources.items()},
            **{f"config.{name}": value for name, value in flatten(entry.config).items()},
        }

    def _report(self, entry: Entry, event: Event) -> None:
        entry.iterations, entry.seconds, entry.node = event["iteration"], event["seconds"], event["node"]
        if entry.attempts:
            entry.attempts[-1].reported, entry.attempts[-1].node = event.get("time"), event["node"]
        if (value := event["value"]) is None:
            return
        # A trial that went on from a checkpoint repeats iterations: the later report is the one that counts.
        if entry.iterations in entry.values:
            entry.best = None
        entry.last = entry.values[entry.iterations] = value
        candidates = entry.values if entry.best is None else {entry.iterations: value}
        for iteration, candidate in candidates.items():
            if self.better(candidate, entry.best):
                entry.best, entry.best_iteration = candidate, iteration


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
