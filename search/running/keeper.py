"""Which checkpoints of a run are kept: of the best k trials, replicas of finalists before all others.

Of each of these the one that it counts by, and beside it the latest others, if the search asks for snapshots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import reduce

from search.running.ledger import Entry, Event, Ledger, Snapshot


class Keeper:
    """Decides about each new checkpoint, and says what happens in events.

    Args:
        ledger: the trials.
        keep: of how many trials.
        snapshots: how many of each of them.
    """

    def __init__(self, ledger: Ledger, keep: int, snapshots: int = 1) -> None:
        self._ledger = ledger
        self._keep = keep
        self._snapshots = snapshots

    def weigh(self, entry: Entry, value: float) -> list[Event]:
        """The events by which the checkpoint of a trial's newest report is kept; none if it is not.

        Args:
            entry: the trial.
            value: the metric of the report.
        """
        if self._ledger.score == "best" and entry.kept is not None and not self._ledger.better(value, entry.kept_score):
            return []
        worst = self._to_give_way(entry)
        if worst is not None and not self._precedes(entry, value, worst):
            return []
        path = _place(entry, entry.iterations)
        keep = {"event": "keep", "trial": entry.trial_id, "path": path, "iteration": entry.iterations, "score": value}
        return [keep, *([let_go(worst)] if worst is not None else [])]

    def snapshots(self, entry: Entry, there: Callable[[Snapshot], bool]) -> tuple[Snapshot, ...]:
        """What is to be kept of a trial beside the one that it counts by, latest first; none of one that is let go.

        Args:
            entry: the trial.
            there: whether there still is anything to keep of a report.
        """
        if entry.kept is None:
            return ()
        held = {snapshot.iteration: snapshot for snapshot in entry.snapshots}
        found: list[Snapshot] = []
        for iteration in sorted({*held, *entry.saved} - {entry.kept_iteration}, reverse=True):
            if len(found) == self._snapshots - 1:
                break
            if iteration in held:
                found.append(held[iteration])
            elif iteration in entry.values:
                snapshot = Snapshot(_place(entry, iteration), iteration, entry.values[iteration])
                if there(snapshot):
                    found.append(snapshot)
        return tuple(found)

    def _to_give_way(self, entry: Entry) -> Entry | None:
        """Whose checkpoint has to go for one of `entry`, None while there is room."""
        if entry.kept is not None or len(self._ledger.kept) < self._keep:
            return None
        kept = sorted(self._ledger.kept.values(), key=lambda other: other.number)
        return reduce(lambda worst, other: other if self._precedes(worst, worst.kept_score, other) else worst, kept)

    def _precedes(self, entry: Entry, value: float | None, other: Entry) -> bool:
        # Replicas are what the winner is chosen by, and members that nobody picked for luck: they stay.
        if _is_replica(entry) != _is_replica(other):
            return _is_replica(entry)
        return value is not None and self._ledger.better(value, other.kept_score)


def let_go(entry: Entry) -> Event:
    """The event by which a trial's checkpoint is kept no longer."""
    return {"event": "keep", "trial": entry.trial_id, "path": None, "iteration": None, "score": None}


def keep_beside(entry: Entry, snapshots: tuple[Snapshot, ...]) -> Event:
    """The event by which these, and no others, are kept beside the one that a trial counts by."""
    return {"event": "snapshots", "trial": entry.trial_id, "snapshots": [asdict(snapshot) for snapshot in snapshots]}


def _place(entry: Entry, iteration: int) -> str:
    return f"checkpoints/{entry.number:05d}-{iteration:06d}"


def _is_replica(entry: Entry) -> bool:
    return entry.suggestion.get("reason") == "retest"
