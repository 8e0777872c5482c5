"""Several checkpoints of one trial: which are kept, what becomes of them, and what a reader finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from search import Random, Results, Search, SearchError
from search.running.keeper import Keeper, keep_beside
from search.running.ledger import Ledger, Snapshot

LOSSES = {"dips": [3.0, 1.0, 2.0, 1.5, 1.7], "falls": [9.0, 8.0, 7.0, 6.0, 0.0]}


class Curve(tune.Trainable):
    """Reports a curve, and knows after a restore how far along it was."""

    def setup(self, config: dict[str, Any]) -> None:
        self.curve, self.above, self.at = LOSSES[config["curve"]], config["above"], 0

    def step(self) -> dict[str, Any]:
        self.at += 1
        return {"loss": self.above + self.curve[self.at - 1]}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "at.json").write_text(json.dumps(self.at))

    def load_checkpoint(self, folder: str) -> None:
        self.at = json.loads(Path(folder, "at.json").read_text())

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


class EndsTheRun(tune.Stopper):
    """Ends the run after so many reports."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.left -= 1
        return False

    def stop_all(self) -> bool:
        return self.left <= 0


def curves(*points: tuple[str, float], **settings: Any) -> Search:
    """A search that tries these points one after the other."""
    given = {"keep_checkpoints": 2, "snapshots": 3, **settings}
    return Search(
        trainable=Curve,
        space={"curve": tune.choice(list(LOSSES)), "above": tune.uniform(0, 9)},
        metric="loss",
        mode="min",
        trials=len(points),
        iterations=5,
        concurrent=1,
        method=Random(points_to_evaluate=[{"curve": curve, "above": above} for curve, above in points]),
        **given,
    )


def found(results: Results, top: int = 9, per_trial: int = 9) -> list[tuple[int, int, float]]:
    """Number, iteration and score of checkpoints, each of which has been found to be what it is listed as."""
    listed = results.checkpoints(top, per_trial)
    for one in listed:
        assert json.loads(Path(results.folder.inside(one.path), "at.json").read_text()) == one.iteration
    return [(one.number, one.iteration, one.score) for one in listed]


def assert_nothing_else_is_kept(results: Results) -> None:
    listed = {one.path for one in results.checkpoints(99, 99)}
    assert {f"checkpoints/{path.name}" for path in Path(results.folder.checkpoints).iterdir()} == listed
    assert not list(Path(results.folder.tune).glob("*/*/checkpoint_*"))


pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def results(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Results:
    points = [("dips", 1.0), ("dips", 0.5), ("dips", 4.0), ("falls", 0.25)]
    return curves(*points, snapshots=4).run("curves", str(tmp_path_factory.mktemp("runs")))


def test_the_kept_checkpoint_comes_first_then_the_latest_others_best_trial_first(results: Results) -> None:
    best, second = [(5, 0.25), (4, 6.25), (3, 7.25), (2, 8.25)], [(2, 1.5), (5, 2.2), (4, 2.0), (3, 2.5)]
    assert found(results) == [(4, *one) for one in best] + [(2, *one) for one in second]
    assert found(results, top=1, per_trial=2) == [(4, 5, 0.25), (4, 4, 6.25)]
    assert found(results, top=9) == found(results, top=2)


def test_a_trial_that_is_let_go_loses_all_its_checkpoints(results: Results) -> None:
    assert any(event["trial"] == results.table()["trial_id"][0] for event in noted(results, "snapshots"))
    assert results.table()["snapshots"].notna().tolist() == [False, True, False, True]
    assert_nothing_else_is_kept(results)


def test_a_trial_that_becomes_one_of_the_best_at_its_end_has_its_earlier_ones(results: Results) -> None:
    last = results.table()["trial_id"][3]
    kept = [event["iteration"] for event in noted(results, "keep") if event["trial"] == last]
    assert kept == [5]
    assert [one.iteration for one in results.best.snapshots] == [4, 3, 2]


def noted(results: Results, kind: str) -> list[dict[str, Any]]:
    lines = [line for part in Path(results.folder.journal).glob("*.jsonl") for line in part.read_text().splitlines()]
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_what_is_known_of_a_checkpoint_says_whose_it_is(results: Results) -> None:
    first = results.checkpoints(1)[0]
    assert first.config["above"] == 0.25
    assert (first.trial_id, first.configuration, first.reason) == (results.best.trial_id, 4, "point")


def test_one_checkpoint_a_trial_is_kept_where_no_snapshots_are_asked_for(tmp_path: Path) -> None:
    results = curves(("dips", 1.0), ("falls", 1.0), snapshots=1).run("one", str(tmp_path))
    assert found(results) == [(2, 5, 1.0), (1, 2, 2.0)]
    assert [record.checkpoint for record in results.top(2)] == [one.path for one in results.checkpoints(2)]
    assert noted(results, "snapshots") == []
    assert_nothing_else_is_kept(results)


def test_the_last_report_counts_where_the_search_says_so_and_the_ones_before_stay(tmp_path: Path) -> None:
    results = curves(("dips", 0.0), score="last", snapshots=2).run("last", str(tmp_path))
    assert found(results) == [(1, 5, 1.7), (1, 4, 1.5)]
    assert_nothing_else_is_kept(results)


@pytest.mark.parametrize(("before", "listed"), [(3, [(1, 2, 1.0), (1, 3, 2.0), (1, 1, 3.0)]), (1, [(1, 2, 1.0)])])
def test_a_resumed_run_goes_on_with_them(tmp_path: Path, before: int, listed: list[tuple[int, int, float]]) -> None:
    search = curves(("dips", 0.0), snapshots=before, stop=EndsTheRun(3))
    broken = search.run("broken", str(tmp_path))
    assert found(broken) == listed
    stray = Path(broken.folder.checkpoints, "00001-000009.part-0123")
    stray.mkdir()
    results = curves(("dips", 0.0), snapshots=4).resume(broken.folder.address)
    assert found(results) == [(1, 2, 1.0), (1, 5, 1.7), (1, 4, 1.5), (1, 3, 2.0)]
    assert_nothing_else_is_kept(results)


def test_a_trial_that_has_to_begin_again_keeps_none_of_its_former_life(tmp_path: Path) -> None:
    broken = curves(("falls", 0.0), snapshots=4, stop=EndsTheRun(3)).run("broken", str(tmp_path))
    assert len(found(broken)) == 3
    for saved in Path(broken.folder.tune).glob("*/*/checkpoint_*"):
        shutil.rmtree(saved)
    again = curves(("falls", 0.0), snapshots=4, stop=EndsTheRun(1)).resume(broken.folder.address)
    assert found(again) == [(1, 3, 7.0), (1, 1, 9.0)]


def test_a_run_of_before_there_were_snapshots_is_read_as_it_was(results: Results, tmp_path: Path) -> None:
    table = results.folder.read_table(results.folder.trials).drop_columns(["snapshots", "checkpoint_score"])
    tmp_path.joinpath("search.json").write_bytes(Path(results.folder.definition).read_bytes())
    older = Results(tmp_path)
    older.folder.write_table(older.folder.trials, table)
    assert [(one.number, one.iteration, one.score) for one in older.checkpoints(9, 9)] == [(4, 5, 0.25), (2, 2, 1.5)]
    assert older.best.snapshots == ()


def test_numbers_that_make_no_sense_are_named(results: Results) -> None:
    with pytest.raises(SearchError, match="Expected snapshots to be a whole number from 1, got 0"):
        curves(("dips", 0.0), snapshots=0)
    with pytest.raises(SearchError, match="Expected per_trial to be a whole number from 1, got 0"):
        results.checkpoints(3, 0)
    with pytest.raises(SearchError, match="Expected top to be a whole number from 1, got 0"):
        results.checkpoints(0)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from(["best", "last"]),
)
def test_after_every_report_as_many_are_kept_as_can_be_and_the_latest_ones(
    losses: list[int], snapshots: int, score: Any
) -> None:
    ledger = Ledger("min", score)
    keeper = Keeper(ledger, 1, snapshots)
    of_a: dict[str, Any] = {"trial": "a", "number": 1, "config": {}, "suggestion": {}, "suggested_by": "", "time": 0.0}
    ledger.apply({**of_a, "event": "suggest"})
    a = ledger.entries["a"]
    for iteration, loss in enumerate(losses, start=1):
        at = {"iteration": iteration, "seconds": 0.0, "node": "", "value": float(loss), "path": f"tune/{iteration}"}
        ledger.apply({**of_a, "event": "report", **at})
        ledger.apply({**of_a, "event": "checkpoint", **at})
        held = a.named
        for event in keeper.weigh(a, float(loss)):
            ledger.apply(event)

        def there(snapshot: Snapshot, held: frozenset[str] = held, now: int = iteration) -> bool:
            return snapshot.path in held or snapshot.iteration > now - max(2, snapshots)  # as Ray Tune keeps them

        ledger.apply(keep_beside(a, keeper.snapshots(a, there)))
        counted = losses.index(min(losses[:iteration])) + 1 if score == "best" else iteration
        latest = [i for i in range(iteration, 0, -1) if i != counted]
        assert a.kept_iteration == counted
        assert [one.iteration for one in a.snapshots] == latest[: snapshots - 1]
        assert [one.score for one in a.snapshots] == [losses[one.iteration - 1] for one in a.snapshots]
