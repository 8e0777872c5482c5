"""What an earlier session of a run left: trials that go on, and what stoppers and schedulers have to be told of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ray.tune.result import TRAINING_ITERATION

from search.params import Params
from search.run_folder import RunFolder
from search.running.ledger import ENDED, Entry, Event, Ledger
from search.running.recorder import Recorder
from search.running.trial_source import Unfinished
from search.stopping.stoppers import Stoppers
from search.stopping.trials import Diverged, Patience, full_length


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
            earlier = _earlier(recorder.folder, entry, at)
            found.append(Unfinished(entry.trial_id, config(entry), checkpoint, at, seconds, entry.crashes, earlier))
    return found


def _earlier(folder: RunFolder, entry: Entry, than: int) -> tuple[tuple[int, str], ...]:
    """Checkpoints of a trial before one, latest first; Ray Tune keeps few, so that few are looked for."""
    before = [(iteration, folder.inside(path)) for iteration, path in entry.saved.items() if iteration < than]
    return tuple(one for one in before[:-4:-1] if folder.exists(one[1]))


def remind(
    stoppers: Stoppers, events: Sequence[Event], ledger: Ledger, unfinished: Sequence[Unfinished], seconds: float
) -> None:
    """Tell stoppers what they would know had the run never broken off: curves of trials that go on, what was spent.

    Args:
        stoppers: of the run that goes on.
        events: all so far.
        ledger: the trials.
        unfinished: those that go on.
        seconds: how long the earlier sessions took.
    """
    if stoppers.budget is not None:
        gpu_seconds = sum(e.seconds * e.resources.get("GPU", 0.0) for e in ledger.entries.values())
        stoppers.budget.restore({"seconds": seconds, "gpu_seconds": gpu_seconds, "trials": list(ledger.entries)})
    going_on = {item.trial_id for item in unfinished}
    for event in events:
        if event["event"] == "report" and event["trial"] in going_on:
            report: dict[str, Any] = {**event["scalars"], TRAINING_ITERATION: event["iteration"]}
            for stopper in stoppers.stoppers:
                if isinstance(stopper, Patience | Diverged):
                    stopper(event["trial"], report)


def rung_reports(events: Sequence[Event]) -> Iterator[tuple[str, Params, int, float]]:
    """Trial id, configuration, iteration and metric of every report that a scheduler saw."""
    seen: dict[str, Params] = {}
    for event in events:
        if event["event"] == "suggest":
            if not event["suggestion"].get("whole"):
                seen[event["trial"]] = event["config"]
        elif event["event"] == "report" and event["trial"] in seen and event["value"] is not None:
            yield event["trial"], seen[event["trial"]], event["iteration"], event["value"]
