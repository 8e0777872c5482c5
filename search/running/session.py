"""One session of a run: from its first suggestion, or from where the session before broke off, to its end."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler
from ray.tune.search import Searcher
from rich.console import Console

from search.cluster.nodes import check_seen_everywhere, connect, wait_for_nodes
from search.definition import Search
from search.errors import RunError
from search.method import SearchMethod
from search.params import Params
from search.results import Results
from search.run_folder import RunFolder
from search.running.brake import braking
from search.running.controller import retrying
from search.running.guard import Guard, Halt
from search.running.journal import Journal
from search.running.ledger import ENDED, FAILED, Entry, Event, Ledger
from search.running.progress import Progress
from search.running.quiet import quiet
from search.running.record import Record
from search.running.recorder import Recorder
from search.running.storage import Watch, full_disk, in_words, is_full
from search.running.study_file import StudyFile
from search.running.trial_source import TrialSource, Unfinished
from search.running.unfinished import remind, rung_reports, unfinished_trials
from search.stopping.schedulers import Asha, for_search

# What Ray Tune is told where the method itself says when it is through.
_WITHOUT_END = 10**9


class Interrupted(RunError):
    """The run was stopped from outside; it can be resumed."""


class Session:
    """Runs what there is to run, and leaves the run whole however it ends.

    Args:
        search: the definition.
        method: its `fresh_method`.
        folder: the run.
        journal: its events, opened by this session.
        record: its search.json, opened by this session.
        console: where progress is shown; by default the terminal's error stream.
    """

    def __init__(
        self,
        search: Search,
        method: Searcher,
        folder: RunFolder,
        journal: Journal,
        record: Record,
        console: Console | None = None,
    ) -> None:
        self._search, self._method, self._folder, self._record = search, method, folder, record
        self._journal = journal
        self._console = console or Console(stderr=True)
        self._guard = Guard(search.metric, search.iterations, search.stoppers)
        self._recorder = Recorder(
            folder,
            journal,
            Ledger(search.mode, search.score),
            self._guard,
            keep=search.keep_checkpoints,
            snapshots=search.snapshots,
            method=method,
            study=StudyFile(folder, record.name, search.mode, search.score, search.axes),
        )
        self._events = list(journal.read())

    def run(self) -> Results:
        """Run the session.

        Raises:
            RunError: the trials never report the metric, Ray cannot run them, or there is no room left.
            TakenOver: another driver has the run now.
            Interrupted: Ctrl-C.
        """
        try:
            with quiet(self._folder, self._console):
                self._fit()
        except KeyboardInterrupt:
            self._close("interrupted")
            raise Interrupted(self._how_to_go_on()) from None
        except BaseException as failure:
            full = is_full(failure)
            self._close("interrupted" if full else "failed")
            if full:
                raise RunError(full_disk(self._folder)) from failure
            if not isinstance(failure, TuneError | RayError):
                raise
            reason = (str(failure).strip() or type(failure).__name__).splitlines()[-1]
            raise RunError(
                f"Ray could not go on with the run {self._record.name!r}: {reason}. Its log: {self._folder.log}"
            ) from failure
        return self._ended()

    def _fit(self) -> None:
        unfinished = self._take_up()
        left = _WITHOUT_END if self._record.trials is None else self._record.trials - self._recorder.ended
        if left <= 0:
            self._console.print(
                f"All {self._record.trials} trials of {self._folder.address} have ended, and nothing is left to do."
                f" To add some: huetune extend {self._folder.address} --trials N",
                style="yellow",
            )
            return
        scheduler = copy.deepcopy(self._search.scheduler)
        source = TrialSource(
            self._method,
            self._folder.fs,
            unfinished,
            concurrent=self._search.concurrent,
            checkpoints=_checkpoints(self._search.trainable, scheduler, self._search.snapshots),
            on_first=lambda: self._remind_scheduler(scheduler),
            on_suggestion=self._recorder.on_suggestion,
            stopped=self._guard.is_braked,
        )
        connect()
        wait_for_nodes(_asked(self._search), self._console)
        check_seen_everywhere(self._folder)
        if hint := idle_gpus(self._search, ray.cluster_resources()):
            self._console.print(hint, style="yellow")
        progress = Progress(self._recorder, self._record.trials, self._search.axes, self._console)
        with progress, braking(self._brake), retrying():
            self._tuner(source, scheduler, progress, left).fit()

    def _take_up(self) -> list[Unfinished]:
        """Bring everything that has a memory to where the earlier sessions left it."""
        if isinstance(self._method, SearchMethod):
            self._method.replay(_told(self._events))
        self._recorder.replay(self._events)
        unfinished = unfinished_trials(self._recorder, self._config)
        if isinstance(self._method, SearchMethod):
            # Trials that were closed just now, because only the word of their end was missing.
            for told in list(self._method.running.values()):
                if self._recorder.ledger.entries[told.trial_id].status in ENDED:
                    self._method.play({"event": "end", "trial": told.trial_id, "failed": False})
        remind(self._guard.stop, self._events, self._recorder.ledger, unfinished, self._record.seconds)
        return unfinished

    def _ended(self) -> Results:
        guard = self._guard
        if guard.verdict:
            self._close("failed")
            raise RunError(guard.verdict)
        if self._pulled:
            self._close("interrupted")
            raise Interrupted(self._how_to_go_on())
        self._close("finished", guard.brake_reason)
        return Results(self._folder.address)

    _pulled = False

    def _brake(self, signal: str) -> None:
        self._pulled = True
        self._guard.brake(signal)
        self._console.print(
            f"{signal}: the trials under way go on to their next report and are saved. Once more ends the run at once.",
            style="yellow",
        )

    def _close(self, status: str, ended_by: str | None = None) -> None:
        """Leave the run as whole as its storage allows, and let others have it.

        Raises:
            RunError: not everything could be written.
            TakenOver: another driver has the run now; nothing is written.
        """
        with in_words(self._folder), closing(self._journal):
            self._journal.check()
            try:
                self._recorder.close()
            finally:
                self._record.close(status, ended_by)

    def _how_to_go_on(self) -> str:
        asked = "" if self._record.trials is None else f" of {self._record.trials}"
        return (
            f"Interrupted after {self._recorder.ended}{asked} trials; what they reported is in {self._folder.address}."
            f" To go on: huetune resume {self._folder.address}"
        )

    def _config(self, entry: Entry) -> Params:
        # The method has it as it was, a choice of objects too; otherwise there is what JSON could hold.
        return self._method.config(entry.trial_id) if isinstance(self._method, SearchMethod) else entry.config

    def _remind_scheduler(self, scheduler: TrialScheduler | None) -> None:
        if isinstance(scheduler, Asha):
            scheduler.replay(rung_reports(self._events))

    def _tuner(
        self, source: TrialSource, scheduler: TrialScheduler | None, progress: Progress, trials: int
    ) -> tune.Tuner:
        search, trainable = self._search, self._search.trainable
        if search.resources:
            trainable = tune.with_resources(trainable, dict(search.resources))
        saves = _saves(trainable)
        return tune.Tuner(
            trainable,
            # A method of ours gives whole configurations, the constants too.
            param_space={} if isinstance(self._method, SearchMethod) else dict(search.domains),
            tune_config=tune.TuneConfig(
                metric=search.metric,
                mode=search.mode,
                search_alg=source,
                scheduler=for_search(
                    scheduler,
                    iterations=search.iterations,
                    spared=self._recorder.is_whole,
                    closed=self._guard.is_braked,
                ),
                num_samples=trials,
                reuse_actors=_can_be_reused(trainable),
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
            ),
            run_config=tune.RunConfig(
                # Every session has a folder of its own: no checkpoint is ever written over.
                name=f"{len(self._folder.folders(self._folder.tune)) + 1:03d}",
                storage_path=self._folder.tune,
                storage_filesystem=self._folder.fs,
                stop=self._guard,
                failure_config=tune.FailureConfig(max_failures=search.max_failures),
                checkpoint_config=replace(source.checkpoints, num_to_keep=None),
                callbacks=[Watch(self._folder, self._journal), self._recorder, progress, Halt(self._guard, saves)],
                verbose=0,
            ),
        )


def idle_gpus(search: Search, available: Mapping[str, float]) -> str | None:
    """What to tell a user whose search leaves the GPUs of a cluster alone, None where there is nothing to tell."""
    gpus = available.get("GPU", 0)
    if not gpus or search.resources is not None:
        return None
    return (
        f"The cluster has {gpus:g} GPUs and the search does not say what a trial gets:"
        " Search(resources={'cpu': 2, 'gpu': 0.5}) gives each half of one."
    )


def _asked(search: Search) -> list[dict[str, float]]:
    """What a trial takes of a machine; nothing where the trainable decides on that by itself."""
    if search.resources:
        names = {"cpu": "CPU", "gpu": "GPU"}
        return [{names.get(name, name): amount for name, amount in search.resources.items()}]
    decides = inspect.isclass(search.trainable) and _overrides(search.trainable, "default_resource_request")
    return [] if decides or hasattr(search.trainable, "_resources") else [{"CPU": 1}]


def _told(events: list[Event]) -> list[Event]:
    """The events of a run as a method sees them."""
    told = []
    for event in events:
        if event["event"] == "end":
            told.append(event | {"failed": event["status"] in FAILED})
        elif event["event"] == "suggest" or (event["event"] == "report" and event["value"] is not None):
            told.append({name: value for name, value in event.items() if name != "scalars"})
    return told


def _can_be_reused(trainable: Any) -> bool:
    """Whether an actor can take the next trial: always for functions, for classes if they say how."""
    return not inspect.isclass(trainable) or _overrides(trainable, "reset_config")


def _saves(trainable: Any) -> bool:
    """Whether trials can be saved; functions may do it themselves."""
    return not inspect.isclass(trainable) or _overrides(trainable, "save_checkpoint")


def _checkpoints(trainable: Any, scheduler: TrialScheduler | None, snapshots: int) -> tune.CheckpointConfig:
    """Classes that can be saved are, after every report; functions save themselves.

    The one before the latest is kept too: whichever of the two the journal names last is there. Population based
    training copies them between trials, and wants them to stay a while longer. So do snapshots: a trial that comes to
    be among the best finds its earlier ones still there.
    """
    saves = inspect.isclass(trainable) and _saves(trainable)
    keep = max(4 if isinstance(scheduler, PopulationBasedTraining) else 2, snapshots)
    return tune.CheckpointConfig(num_to_keep=keep, checkpoint_frequency=int(saves), checkpoint_at_end=saves)


def _overrides(trainable: Any, method: str) -> bool:
    return getattr(trainable, method) is not getattr(tune.Trainable, method)


def _trial_id(trial: Trial) -> str:
    return str(trial.trial_id)
