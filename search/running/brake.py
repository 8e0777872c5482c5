"""Ctrl-C while a run goes on: once, and trials come to a checkpoint first; twice, and it ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGTERM is how a job is stopped, and how a machine that is taken away says so.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def braking(pull: Callable[[str], None]) -> Iterator[None]:
    """Call `pull` with a word for it on the first signal to stop; the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can take signals
        return
    pulled = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal pulled
        if pulled:
            raise KeyboardInterrupt
        pulled = True
        pull("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
