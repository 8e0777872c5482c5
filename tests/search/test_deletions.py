"""Folders that are deleted on the side are gone to whoever looks, and nothing new at their place is lost."""

from __future__ import annotations

import logging
import threading

import pytest

from search.deletions import Deletions


@pytest.mark.parametrize("looked_at", ["runs/a/1", "runs/a", "runs/a/1/weights", "runs"])
def test_whoever_looks_waits_until_it_is_gone(looked_at: str) -> None:
    deletions, let, gone = Deletions(), threading.Event(), threading.Event()

    def delete() -> None:
        assert let.wait(10)
        gone.set()

    deletions.begin("runs/a/1", delete)
    deletions.settle("runs/a/2", "runs/a/10", "other")  # nothing to do with it
    assert not gone.is_set()
    threading.Timer(0.1, let.set).start()
    deletions.settle(looked_at)
    assert gone.is_set()


def test_many_are_deleted_at_once() -> None:
    deletions, together = Deletions(), threading.Barrier(4, timeout=10)
    for number in range(4):
        deletions.begin(f"runs/{number}", lambda: (together.wait(), None)[1])
    deletions.settle("runs")
    assert not together.broken


def test_a_folder_is_not_deleted_twice_at_once() -> None:
    deletions, order = Deletions(), []
    deletions.begin("runs/a", lambda: order.append("first"))
    deletions.begin("runs/a", lambda: order.append("second"))
    deletions.settle("runs/a")
    assert order == ["first", "second"]


def test_what_cannot_be_deleted_is_logged_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    deletions = Deletions()

    def refused() -> None:
        raise PermissionError("no right to delete")

    def missing() -> None:
        raise FileNotFoundError("runs/b")

    with caplog.at_level(logging.WARNING, "search.bucket"):
        deletions.begin("runs/a", refused)
        deletions.begin("runs/b", missing)
        deletions.settle("runs")
    assert caplog.messages == ["runs/a could not be deleted and stays: no right to delete"]
