"""Which trials of an earlier session go on, and from where."""

from __future__ import annotations

from collections.abc import Callable

from search.ledger import ENDED, Entry
from search.recorder import Recorder
from search.space import Params
from search.stopping import full_length
from search.trial_source import Unfinished


def unfinished_trials(recorder: Recorder, config: Callable[[Entry], Params]) -> list[Unfinished]:
    """The trials to go on with; one that had made its last report, and only lacked the word of it, is closed instead.

    Args:
        recorder: of the run, with all events of earlier sessions.
        config: the configuration of a trial.
    """
    found = []
    for entry in recorder.ledger.entries.values():
        if entry.status in ENDED:
            continue
        checkpoint = recorder.folder.inside(entry.latest) if entry.latest else None
        if checkpoint is not None and not recorder.folder.exists(checkpoint):
            checkpoint = None
        at = entry.latest_iteration if checkpoint else 0
        full = full_length(entry.config, recorder.guard.iterations)
        through = full is not None and (at >= full or (entry.latest is None and entry.iterations >= full))
        if checkpoint is not None:
            recorder.reconsider(entry, checkpoint)
        if through:
            recorder.end(entry, "finished")
        else:
            seconds = entry.latest_seconds if checkpoint else 0.0
            found.append(Unfinished(entry.trial_id, config(entry), checkpoint, at, seconds))
    return found
