"""What Ray and Optuna have to say goes to the log of the run, not to the terminal."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from rich.console import Console

from search.run_folder import RunFolder

_RAY_SETTINGS = {
    # Our recorder stands in for the default loggers, which take most of a short trial's time.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The guard names a missing metric in words, and only a run where no trial has it ends.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Ctrl-C is ours: trials come to a checkpoint first.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Ray Tune's own state holds every trial, is written anew each time, and nobody reads it: at the end is enough.
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def quiet(folder: RunFolder, console: Console) -> Iterator[None]:
    """Send what Ray and Optuna have to say to the run's log, and put everything back afterwards.

    A bucket that does not answer holds everything up: that is said on the console too.
    """
    before = {name: os.environ.get(name) for name in _RAY_SETTINGS}
    os.environ.update(_RAY_SETTINGS)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.train", "py.warnings", "search")]
    bucket, aloud = logging.getLogger("search.bucket"), _Aloud(console)
    bucket.addHandler(aloud)
    with TemporaryDirectory(prefix="huetune-") as scratch:
        path = Path(folder.log) if folder.is_local else Path(scratch) / "ray.log"
        handler = _Log(path, mode="a", delay=True)
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
            bucket.removeHandler(aloud)
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


class _Log(logging.FileHandler):
    """A file that is worth less than the run: what a full disk has no room for is left out."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in `logging`
        """Nothing: by default a traceback goes to the terminal."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _Aloud(logging.Handler):
    """Says on a console what is logged."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), style="yellow")
