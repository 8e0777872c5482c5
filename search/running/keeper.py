"""Which checkpoints of a run are kept: the best k, one a trial, replicas of finalists before all others."""

from __future__ import annotations

from functools import reduce

from search.running.ledger import Entry, Event, Ledger


class Keeper:
    """Decides about each new checkpoint, and says what happens in events.

    Args:
        ledger: the trials.
        keep: how many checkpoints.
    """

    def __init__(self, ledger: Ledger, keep: int) -> None:
        self._ledger = ledger
        self._keep = keep

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
        path = f"checkpoints/{entry.number:05d}-{entry.iterations:06d}"
        keep = {"event": "keep", "trial": entry.trial_id, "path": path, "iteration": entry.iterations, "score": value}
        return [keep, *([let_go(worst)] if worst is not None else [])]

    def _to_give_way(self, entry: Entry) -> Entry | None:
        """Whose checkpoint has to go for one of `entry`, None while there is room."""
        kept = [other for other in self._ledger.entries.values() if other.kept is not None]
        if entry.kept is not None or len(kept) < self._keep:
            return None
        return reduce(lambda worst, other: other if self._precedes(worst, worst.kept_score, other) else worst, kept)

    def _precedes(self, entry: Entry, value: float | None, other: Entry) -> bool:
        # Replicas are what the winner is chosen by, and members that nobody picked for luck: they stay.
        if _is_replica(entry) != _is_replica(other):
            return _is_replica(entry)
        return value is not None and self._ledger.better(value, other.kept_score)


def let_go(entry: Entry) -> Event:
    """The event by which a trial's checkpoint is kept no longer."""
    return {"event": "keep", "trial": entry.trial_id, "path": None, "iteration": None, "score": None}


def _is_replica(entry: Entry) -> bool:
    return entry.suggestion.get("reason") == "retest"
