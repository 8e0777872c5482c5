"""Runs a Search on Ray Tune: the local cluster of this process, or the one it belongs to."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from rich.console import Console

from search.definition import Search
from search.errors import RunError
from search.guard import Guard
from search.progress import Progress
from search.recorder import Recorder
from search.results import FORMAT, VERSION, Results
from search.run_folder import RunFolder
from search.samplers import OptunaSearcher

_RAY_SETTINGS = {
    # Our recorder stands in for the default loggers, which take most of a short trial's time.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The guard names a missing metric in words, and only a run where no trial has it ends.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class Interrupted(RunError):
    """The run was stopped by Ctrl-C; what had finished is recorded."""


def run(search: Search, *, name: str | None = None, storage: str = "runs", console: Console | None = None) -> Results:
    """Run a search to its end.

    Args:
        search: what to run; it is not changed and can be run again.
        name: of the run, by default a time stamp.
        storage: the folder of runs, on a disk or in a bucket.
        console: where progress is shown; by default the terminal's error stream.

    Raises:
        RunError: the name is taken, the trials never report the metric, or Ray cannot run them.
        Interrupted: Ctrl-C.
    """
    name = name or datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder = RunFolder.create(storage, name)
    record = _Record(folder, search, name)
    guard = Guard(search.metric, search.iterations, search.stop)
    recorder = Recorder(
        folder,
        guard,
        mode=search.mode,
        score=search.score,
        keep=search.keep_checkpoints,
        suggested_by=repr(search.method),
    )
    progress = Progress(recorder, search.trials, search.axes, console or Console(stderr=True))
    try:
        with _quiet(folder):
            connect()
            if hint := idle_gpus(search, ray.cluster_resources()):
                progress.console.print(hint, style="yellow")
            with progress:
                _tuner(search, folder, guard, recorder, progress).fit()
    except (TuneError, RayError) as failure:
        record.close("failed")
        reason = (str(failure).strip() or type(failure).__name__).splitlines()[-1]
        raise RunError(f"Ray could not go on with the run {name!r}: {reason}. Its log: {folder.log}") from failure
    except BaseException:
        record.close("failed")
        raise
    if guard.verdict:
        record.close("failed")
        raise RunError(guard.verdict)
    done = sum(row["status"] in {"finished", "stopped", "failed"} for row in recorder.rows)
    if done < len(recorder.rows):
        record.close("interrupted")
        raise Interrupted(
            f"Interrupted after {done} of {search.trials} trials; what they reported is in {folder.address}."
        )
    record.close("finished")
    return Results(folder.address)


def connect() -> None:
    """Join the Ray cluster this process belongs to, or start a local one; nothing if that was done before."""
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


def idle_gpus(search: Search, available: Mapping[str, float]) -> str | None:
    """What to tell a user whose search leaves the GPUs of a cluster alone, None where there is nothing to tell."""
    gpus = available.get("GPU", 0)
    if not gpus or search.resources is not None:
        return None
    return (
        f"The cluster has {gpus:g} GPUs and the search does not say what a trial gets:"
        " Search(resources={'cpu': 2, 'gpu': 0.5}) gives each half of one."
    )


def _tuner(search: Search, folder: RunFolder, guard: Guard, recorder: Recorder, progress: Progress) -> tune.Tuner:
    method = copy.deepcopy(search.method)
    if isinstance(method, OptunaSearcher):
        method.iterations, method.score, method.seed = search.iterations, search.score, search.seed
    trainable: Any = search.trainable
    if search.resources:
        trainable = tune.with_resources(trainable, dict(search.resources))
    return tune.Tuner(
        trainable,
        param_space=dict(search.space),
        tune_config=tune.TuneConfig(
            metric=search.metric,
            mode=search.mode,
            search_alg=method,
            scheduler=copy.deepcopy(search.scheduler),
            num_samples=search.trials,
            max_concurrent_trials=search.concurrent,
            reuse_actors=_can_be_reused(trainable),
            trial_name_creator=_trial_id,
            trial_dirname_creator=_trial_id,
        ),
        run_config=tune.RunConfig(
            name=folder.tune.removeprefix(f"{folder.root}/"),
            storage_path=folder.root,
            storage_filesystem=folder.fs,
            stop=guard,
            failure_config=tune.FailureConfig(max_failures=search.max_failures),
            checkpoint_config=_checkpoints(trainable),
            callbacks=[recorder, progress],
            verbose=0,
        ),
    )


def _can_be_reused(trainable: Any) -> bool:
    """Whether an actor can take the next trial: always for functions, for classes if they say how."""
    if inspect.isclass(trainable):
        return _overrides(trainable, "reset_config")
    return True


def _checkpoints(trainable: Any) -> tune.CheckpointConfig:
    """Classes that can be saved are, after every report; functions save themselves. Ray keeps a trial's latest."""
    saves = inspect.isclass(trainable) and _overrides(trainable, "save_checkpoint")
    return tune.CheckpointConfig(num_to_keep=1, checkpoint_frequency=int(saves), checkpoint_at_end=saves)


def _overrides(trainable: Any, method: str) -> bool:
    return getattr(trainable, method) is not getattr(tune.Trainable, method)


def _trial_id(trial: Trial) -> str:
    return str(trial.trial_id)


class _Record:
    """search.json: the definition as data, and how the run stands."""

    def __init__(self, folder: RunFolder, search: Search, name: str) -> None:
        self._folder = folder
        self._data = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            **search.describe(),
            "versions": {p: metadata.version(p) for p in ("huetune", "ray", "optuna", "torch", "numpy")}
            | {"python": sys.version.split()[0]},
            "git_commit": _git_commit(),
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "ended": None,
            "status": "running",
        }
        folder.write_json(folder.definition, self._data)

    def close(self, status: str) -> None:
        """Note how the run ended."""
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        self._folder.write_json(self._folder.definition, self._data | {"status": status, "ended": ended})


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@contextmanager
def _quiet(folder: RunFolder) -> Iterator[None]:
    """Send what Ray and Optuna have to say to the run's log, and put everything back afterwards."""
    before = {name: os.environ.get(name) for name in _RAY_SETTINGS}
    os.environ.update(_RAY_SETTINGS)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.train", "py.warnings", "search")]
    with TemporaryDirectory(prefix="huetune-") as scratch:
        path = Path(folder.log) if folder.is_local else Path(scratch) / "ray.log"
        handler = logging.FileHandler(path, delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        kept = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
        try:
            with warnings.catch_warnings():
                logging.captureWarnings(True)
                for logger in loggers:
                    logger.handlers, logger.propagate = [handler], False
                yield
        finally:
            logging.captureWarnings(False)
            for logger, handlers, propagate in kept:
                logger.handlers, logger.propagate = handlers, propagate
            handler.close()
            optuna.logging.set_verbosity(verbosity)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            if not folder.is_local and path.exists():
                with folder.fs.open_output_stream(folder.log) as out:
                    out.write(path.read_bytes())
