"""A report that is written again and again while its run goes on."""

import time
from collections.abc import Callable, Sequence

from search.errors import RunError
from search.report.tables.snapshot import RunReader

# A run that is being written may be caught between two files, once; not five times in a row.
_MOST_FAILURES = 5


def under_way(runs: Sequence[RunReader]) -> bool:
    """Whether one of the runs still goes on."""
    return any(run.status == "running" for run in runs)


def watch(
    build: Callable[[bool], None],
    runs: Sequence[RunReader],
    seconds: float,
    failed: Callable[[Exception], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Build until the runs have ended, and once after that.

    A build that fails, as when a file is being written, is tried again after the same time.

    Args:
        build: writes the report; is told whether the runs went on when it was asked for.
        runs: what the report is about.
        seconds: between two builds.
        failed: is told why a build failed.
        sleep: waits.

    Raises:
        RunError, OSError, ValueError: of the fifth build in a row that failed.
    """
    failures = 0
    while True:
        try:
            # Asked before the build: a run that ends during it is built once more.
            going = under_way(runs)
            build(going)
        except (RunError, OSError, ValueError) as fault:
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            failed(fault)
        else:
            failures = 0
            if not going:
                return
        sleep(seconds)
