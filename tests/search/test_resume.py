"""A run that broke off, however it did, is gone on with: nothing that ended is lost or done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
import ray
from ray import tune

from search import Bayesian, JitteredGrid, Random, Refine, Results, RunError, Search
from search.method import SearchMethod
from search.run_folder import RunFolder
from search.running.journal import Journal

pytestmark = pytest.mark.usefixtures("cluster")

SEARCH = Path(__file__).with_name("killed_search.py")
HUETUNE = [sys.executable, "-c", "from search.cli import main; main()"]


@pytest.fixture
def start(cluster: None) -> Iterator[Any]:
    """Starts `huetune` as a process of its own on the cluster of the tests; none outlives the test."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [*HUETUNE, *map(str, arguments)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(run: Path, what: Any, seconds: float = 60) -> None:
    """Wait until the journal of a run says so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what(events(run)):
            return
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain; the journal holds {len(events(run))} events")


def events(run: Path) -> list[dict[str, Any]]:
    parts = sorted(run.glob("journal/*.jsonl"))
    lines = [line for part in parts for line in part.read_text().split("\n")]
    return [json.loads(line) for line in lines if line.endswith("}")]


def ends(found: list[dict[str, Any]]) -> int:
    return sum(event["event"] == "end" for event in found)


def assert_whole(run: Path, trials: int) -> None:
    """Exactly the trials asked for, each report once, steps without a gap, the kept checkpoints there and no others."""
    results = Results(run)
    table, reports = results.table(), results.measurements()
    assert results.definition["status"] == "finished"
    assert list(table["number"]) == list(range(1, trials + 1))
    assert table["trial_id"].is_unique
    assert set(table["status"]) <= {"finished", "stopped"}
    assert not reports.duplicated(["trial_id", "iteration"]).any()
    assert (reports["steps"] == reports["iteration"]).all()
    made = reports.groupby("trial_id")["iteration"].agg(list).to_dict()
    assert made == {t: list(range(1, n + 1)) for t, n in zip(table["trial_id"], table["iterations"], strict=True)}
    assert {p.name for p in run.glob("checkpoints/*")} == {Path(r.checkpoint or "").name for r in results.top(99)}
    assert not list(run.glob("tune/*/*/checkpoint_*"))
    ended = [event["trial"] for event in events(run) if event["event"] == "end"]
    assert sorted(ended) == sorted(table["trial_id"])


@pytest.mark.parametrize("method", ["--grid", "--no-grid"])
def test_a_run_killed_at_random_moments_ends_with_exactly_the_trials_asked_for(
    start: Any, tmp_path: Path, method: str
) -> None:
    rng = random.Random(method)
    run = tmp_path / "k"
    process = start("run", SEARCH, "--name", "k", "--storage", tmp_path, "--trials", "8", method)
    for _ in range(2):
        before = len(events(run))
        target = before + rng.randint(5, 20)
        wait_for(run, lambda found, target=target: len(found) >= target or ends(found) == 8)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
        for place in run.glob("tune/*/*/"):  # as a worker does that is killed with its driver, or outlives it a little
            (place / "checkpoint_000099").mkdir(exist_ok=True)
        process = start("resume", run)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_whole(run, 8)


def test_a_resumed_search_makes_the_suggestions_that_it_would_have_made(start: Any, tmp_path: Path) -> None:
    options = ["--trials", "8", "--concurrent", "1", "--no-stop-early", "--pause", "0.02"]
    through = start("run", SEARCH, "--name", "through", "--storage", tmp_path, *options)
    broken = start("run", SEARCH, "--name", "broken", "--storage", tmp_path, *options)
    wait_for(tmp_path / "broken", lambda found: ends(found) >= 5)
    broken.kill()
    assert start("resume", tmp_path / "broken").wait(120) == 0
    assert through.wait(120) == 0
    first, second = (Results(tmp_path / name).table()["config"].tolist() for name in ("through", "broken"))
    assert first == second


def test_one_ctrl_c_saves_what_runs_and_says_how_to_go_on(start: Any, tmp_path: Path) -> None:
    process = start("run", SEARCH, "--name", "k", "--storage", tmp_path, "--trials", "4", "--pause", "0.5")
    wait_for(tmp_path / "k", lambda found: any(event["event"] == "report" for event in found))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on to their next report" in err
    assert f"huetune resume {tmp_path / 'k'}" in err
    table = Results(tmp_path / "k").table()
    interrupted = table[table["status"] == "interrupted"]
    assert len(interrupted) > 0
    reached = dict(zip(interrupted["trial_id"], interrupted["iterations"], strict=True))
    saved = {e["trial"]: e["iteration"] for e in events(tmp_path / "k") if e["event"] == "checkpoint"}
    assert all(saved.get(trial, 0) == n for trial, n in reached.items())
    again = start("resume", tmp_path / "k")
    assert again.wait(120) == 0, again.stderr.read()
    assert_whole(tmp_path / "k", 4)
    # What was saved was not trained again.
    steps = [(e["trial"], e["iteration"]) for e in events(tmp_path / "k") if e["event"] == "report"]
    assert len(steps) == len(set(steps))


def test_two_ctrl_c_end_the_run_at_once(start: Any, tmp_path: Path) -> None:
    process = start("run", SEARCH, "--name", "k", "--storage", tmp_path, "--trials", "4", "--pause", "30")
    wait_for(tmp_path / "k", lambda found: any(event["event"] == "start" for event in found))
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "To go on: huetune resume" in err
    assert Results(tmp_path / "k").definition["status"] == "interrupted"


def test_a_resumed_trial_goes_on_from_the_checkpoint_before_one_that_is_damaged(start: Any, tmp_path: Path) -> None:
    options = ["--trials", "1", "--no-stop-early", "--pause", "0.5"]
    process = start("run", SEARCH, "--name", "k", "--storage", tmp_path, *options)
    wait_for(tmp_path / "k", lambda found: sum(event["event"] == "checkpoint" for event in found) == 3)
    process.kill()
    process.communicate()
    latest = [event["path"] for event in events(tmp_path / "k") if event["event"] == "checkpoint"][-1]
    (tmp_path / "k" / latest / "steps.json").write_text("")
    again = start("resume", tmp_path / "k")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert_whole(tmp_path / "k", 1)
    [lost] = [event for event in events(tmp_path / "k") if event["event"] == "lost"]
    assert lost["why"].startswith("its checkpoint after iteration 3 could not be loaded")
    assert not lost["crashed"]
    assert [e["iteration"] for e in events(tmp_path / "k") if e["event"] == "report"][-2:] == [3, 4]


def asked_of(app: Any, path: str) -> bytes:
    """What a web application answers to a GET, asked as a web server would (PEP 3333)."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    said: list[str] = []
    body = b"".join(app(environ, lambda status, headers, *_: said.append(status)))
    assert said == ["200 OK"], body
    return body


class Fixed(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        return {"loss": (self.x - 0.3) ** 2}

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def fixed(**settings: Any) -> Search:
    given: dict[str, Any] = {"trials": 6, "iterations": 1, "concurrent": 1, "method": Bayesian("tpe", startup=3)}
    return Search(trainable=Fixed, space={"x": tune.uniform(0, 1)}, metric="loss", mode="min", **{**given, **settings})


def test_an_extended_run_goes_on_as_one_that_was_longer_from_the_start(tmp_path: Path) -> None:
    whole = fixed(trials=10).run("whole", str(tmp_path))
    fixed().run("short", str(tmp_path))
    extended = fixed().resume(str(tmp_path / "short"), more=4)
    assert extended.table()["config"].tolist() == whole.table()["config"].tolist()
    assert extended.definition["trials"] == 10
    assert [session["ended"] is not None for session in extended.definition["sessions"]] == [True, True]


def test_resuming_a_run_that_is_through_changes_nothing(tmp_path: Path) -> None:
    results = fixed().run("a", str(tmp_path))
    before = results.table()
    assert fixed().resume(str(tmp_path / "a")).table().equals(before)


def test_a_method_that_ends_by_itself_cannot_be_extended(tmp_path: Path) -> None:
    grid = fixed(method=JitteredGrid(points=2), trials=None)
    table = grid.run("a", str(tmp_path)).table()
    assert len(table) >= 2
    with pytest.raises(RunError, match=r"as many as its method, JitteredGrid.*warm_start"):
        grid.resume(str(tmp_path / "a"), more=3)
    assert len(grid.resume(str(tmp_path / "a")).table()) == len(table)


def test_a_definition_that_has_changed_is_named(tmp_path: Path) -> None:
    fixed().run("a", str(tmp_path))
    with pytest.raises(RunError, match=r"its seed was 0, and now is 3.*warm_start"):
        fixed(seed=3).resume(str(tmp_path / "a"))
    with pytest.raises(RunError, match="its method was"):
        fixed(method=Random()).resume(str(tmp_path / "a"))
    assert Results(tmp_path / "a").definition["status"] == "finished"


def test_a_run_that_still_goes_on_cannot_be_resumed(tmp_path: Path) -> None:
    fixed().run("a", str(tmp_path))
    journal = Journal(RunFolder.open(tmp_path / "a"))
    with pytest.raises(RunError, match="still going on"):
        fixed().resume(str(tmp_path / "a"))
    journal.close()
    fixed().resume(str(tmp_path / "a"))


@pytest.mark.parametrize("method", [Bayesian("tpe", startup=3), JitteredGrid(points=4, refine=[Refine(factor=2)])])
def test_a_line_of_the_journal_that_was_cut_short_is_left_out(tmp_path: Path, method: SearchMethod) -> None:
    search = fixed(method=method, trials=None if method.ends else 6)
    before = search.run("a", str(tmp_path)).table()
    [part] = (tmp_path / "a" / "journal").glob("*.jsonl")
    lines = part.read_text().splitlines(keepends=True)
    an_end = [i for i, line in enumerate(lines) if '"end"' in line][3]
    part.write_text("".join(lines[:an_end]) + lines[an_end][:20])
    table = search.resume(str(tmp_path / "a")).table()
    assert set(table["status"]) == {"finished"}
    assert table["config"].tolist() == before["config"].tolist()


def test_a_run_started_from_python_says_how_to_resume_it(start: Any, tmp_path: Path) -> None:
    fixed().run("a", str(tmp_path))
    process = start("resume", tmp_path / "a")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Use Search.resume there" in err


def test_the_study_of_a_run_is_one_that_optuna_and_its_dashboard_open(tmp_path: Path) -> None:
    results = fixed().run("a", str(tmp_path))
    fixed().resume(str(tmp_path / "a"), more=1)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(results.folder.study))
    shown: dict[str, Any] = json.loads(asked_of(optuna_dashboard.wsgi(storage), "/api/studies"))
    assert [study["study_name"] for study in shown["study_summaries"]] == ["a"]
    detail = json.loads(asked_of(optuna_dashboard.wsgi(storage), "/api/studies/0"))
    assert [trial["state"] for trial in detail["trials"]] == ["Complete"] * 7
    study = optuna.load_study(study_name="a", storage=storage)
    table = results.table()
    assert [t.params["x"] for t in study.trials] == table["config.x"].tolist()
    assert [t.value for t in study.trials] == table["score"].tolist()
    assert study.best_trial.user_attrs["trial"] == results.best.number
