"""Whole runs on real Ray: what is recorded, what survives, and what the terminal and the caller are told."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining, TrialScheduler

from search import Bayesian, Budget, NoFinishedTrialError, Patience, Random, Results, RunError, Search, asha
from search.run_folder import RunFolder
from search.runner import run as run_search
from search.running.session import idle_gpus

pytestmark = pytest.mark.usefixtures("cluster")


class Quadratic(tune.Trainable):
    """Falls towards (x - 0.3)^2; raises above 0.9, turns NaN below 0.1 at its second report."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config, self.iterations_done = config, 0

    def step(self) -> dict[str, Any]:
        self.iterations_done += 1
        x = self.config["x"]
        if x > 0.9:
            raise ValueError(f"x is too large: {x:.2f}")
        if x < 0.1 and self.iterations_done == 2:
            return {"loss": math.nan}
        return {
            "loss": (x - 0.3) ** 2 + 1 / self.iterations_done,
            "nested": {"x": np.float32(x)},
            "text": "a",
        }

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "state.json").write_text(json.dumps({"x": self.config["x"], "at": self.iterations_done}))

    def load_checkpoint(self, folder: str) -> None:
        self.iterations_done = json.loads(Path(folder, "state.json").read_text())["at"]

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def quadratic(**settings: Any) -> Search:
    points = [{"x": 0.05}, {"x": 0.95}]
    given = {
        "trials": 20,
        "iterations": 4,
        "method": Random(points_to_evaluate=points),
        "scheduler": asha(4, reduction=2),
        "keep_checkpoints": 3,
    }
    space = {"x": tune.uniform(0, 1), "kind": tune.choice([[1, 2], None])}
    return Search(trainable=Quadratic, space=space, metric="loss", mode="min", **{**given, **settings})


@pytest.fixture(scope="module")
def results(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return quadratic().run("first", str(tmp_path_factory.mktemp("runs")))


def test_every_trial_asked_for_has_one_row_with_its_configuration(results: Results) -> None:
    table = results.table()
    assert list(table["number"]) == list(range(1, 21))
    assert table["trial_id"].is_unique
    assert table["config.x"].between(0, 1).all()
    assert set(table["status"]) == {"finished", "stopped", "failed"}
    assert results.definition["status"] == "finished"


def test_a_trial_that_raises_is_failed_with_its_reason_and_the_others_go_on(results: Results) -> None:
    table = results.table()
    raised = table[table["config.x"] > 0.9]
    assert len(raised) > 0
    assert set(raised["status"]) == {"failed"}
    assert all("ValueError: x is too large" in error for error in raised["error"])
    log = Path(results.folder.logs, f"{raised['number'].iloc[0]:05d}.txt").read_text()
    assert "in step" in log
    assert "\x1b" not in log


def test_a_trial_that_diverges_is_failed_and_never_best(results: Results) -> None:
    table = results.table()
    low = table[(table["config.x"] < 0.1) & (table["iterations"] > 1)]
    assert len(low) > 0
    assert set(low["status"]) == {"failed"}
    assert low["score"].isna().all()
    assert low["checkpoint"].isna().all()
    assert results.best.config["x"] >= 0.1


def test_the_best_trial_is_the_one_with_the_best_report(results: Results) -> None:
    rows, ends = results.measurements(), results.table().set_index("trial_id")
    alive = rows[~rows["trial_id"].map(ends["status"]).eq("failed")]
    assert results.best.score == alive["loss"].min()
    assert results.best.trial_id == alive.loc[alive["loss"].idxmin(), "trial_id"]


def test_every_report_has_one_row_and_stopped_trials_have_fewer(results: Results) -> None:
    rows, table = results.measurements(), results.table()
    assert not rows.duplicated(["trial_id", "iteration"]).any()
    assert rows.groupby("trial_id").size().to_dict() == {
        t: n for t, n in zip(table["trial_id"], table["iterations"], strict=True) if n
    }
    assert set(table.loc[table["status"] == "finished", "iterations"]) == {4}
    assert table.loc[table["status"] == "stopped", "iterations"].max() < 4
    assert rows["nested/x"].notna().any()


def test_the_best_checkpoints_of_the_run_are_kept_and_no_others(results: Results) -> None:
    top = results.top(8)
    assert [record.score for record in top] == sorted(results.table()["score"].dropna())[:3]
    kept = {p.name for p in Path(results.folder.checkpoints).iterdir()}
    assert kept == {Path(str(record.checkpoint)).name for record in top}
    for record in top:
        state = json.loads(Path(results.folder.root, str(record.checkpoint), "state.json").read_text())
        assert state == {"x": record.config["x"], "at": record.checkpoint_iteration}
    assert not list(Path(results.folder.tune).glob("*/*/checkpoint_*"))


def test_a_configuration_comes_back_as_it_was_suggested(results: Results) -> None:
    assert all(record.config["kind"] in ([1, 2], None) for record in results.top(8))
    assert isinstance(results.best.config["seed"], int)


def test_nothing_of_a_run_is_overwritten_by_one_of_its_name(results: Results) -> None:
    before = Path(results.folder.trials).stat().st_mtime_ns
    with pytest.raises(RunError, match="exists, and no run is ever overwritten"):
        quadratic().run("first", str(Path(results.folder.root).parent))
    assert Path(results.folder.trials).stat().st_mtime_ns == before


def test_two_runs_of_one_name_cannot_begin(tmp_path: Path) -> None:
    assert RunFolder.create(str(tmp_path), "a").root == str(tmp_path / "a")
    with pytest.raises(RunError, match="Choose another with --name"):
        RunFolder.create(str(tmp_path), "a")
    with pytest.raises(RunError, match="exists"):
        RunFolder.create(f"file://{tmp_path}", "a")


def test_idle_gpus_are_mentioned_only_where_the_search_is_silent() -> None:
    assert "has 2 GPUs" in str(idle_gpus(quadratic(), {"GPU": 2.0}))
    assert idle_gpus(quadratic(), {"CPU": 8.0}) is None
    assert idle_gpus(quadratic(resources={"cpu": 1}), {"GPU": 2.0}) is None


def test_a_search_can_be_run_again_with_the_same_suggestions(results: Results, tmp_path: Path) -> None:
    search = quadratic(scheduler=None, trials=3, concurrent=1)
    first, second = (search.run(name, str(tmp_path)).table() for name in ("a", "b"))
    assert first["config"].tolist() == second["config"].tolist()


def test_a_run_can_be_read_by_another_process_while_it_goes_on(tmp_path: Path) -> None:
    def slow(config: dict[str, Any]) -> None:
        for _ in range(2):
            time.sleep(0.5)
            tune.report({"loss": config["x"]})

    watcher = (
        "import sys, time; from search import Results\n"
        "while True:\n"
        "    try: r = Results(sys.argv[1]); t = r.table()\n"
        "    except Exception: time.sleep(0.05); continue\n"
        "    done = (t['status'] == 'finished').sum()\n"
        "    if done and r.definition['status'] == 'running':\n"
        "        print(done, r.best.score == t['score'].min(), len(r.measurements()) > 0); break\n"
        "    if r.definition['status'] != 'running': print('too late'); break\n"
        "    time.sleep(0.05)\n"
    )
    command = [sys.executable, "-c", watcher, str(tmp_path / "slow")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        space = {"x": tune.uniform(0, 1)}
        Search(trainable=slow, space=space, metric="loss", mode="min", trials=6).run("slow", str(tmp_path))
        seen, _ = reader.communicate(timeout=60)
    assert seen.split()[1:] == ["True", "True"]


def test_a_metric_that_no_trial_reports_ends_the_run_after_the_first_report(tmp_path: Path) -> None:
    search = quadratic()
    wrong = Search(trainable=Quadratic, space=search.space, metric="los", mode="min", trials=500)
    with pytest.raises(RunError, match=r"holds loss, nested/x, text\. Did you mean metric='loss'"):
        wrong.run("wrong", str(tmp_path))
    assert Results(tmp_path / "wrong").definition["status"] == "failed"
    assert len(Results(tmp_path / "wrong").table()) < 20


def test_a_run_in_which_every_trial_fails_says_so_and_keeps_the_reasons(tmp_path: Path) -> None:
    def broken(config: dict[str, Any]) -> None:
        raise KeyError("no such layer")

    space = {"x": tune.uniform(0, 1)}
    results = Search(trainable=broken, space=space, metric="loss", mode="min", trials=2).run("broken", str(tmp_path))
    assert list(results.table()["error"]) == ["KeyError: 'no such layer'"] * 2
    assert results.top(3) == []
    with pytest.raises(
        NoFinishedTrialError, match=r"found none among 2\. 2 failed, such as trial 1: KeyError: 'no such layer'"
    ):
        _ = results.best


def test_whatever_ray_tune_takes_is_a_trainable(tmp_path: Path) -> None:
    def train(config: dict[str, Any], offset: float) -> None:
        for i in range(3):
            tune.report({"loss": config["x"] + offset + i})

    wrapped = tune.with_resources(tune.with_parameters(train, offset=10.0), {"cpu": 0.5})
    space = {"x": tune.uniform(0, 1)}
    results = Search(trainable=wrapped, space=space, metric="loss", mode="min", trials=3, method=Bayesian()).run(
        "wrapped", str(tmp_path)
    )
    assert (results.table()["status"] == "finished").all()
    assert (results.table()["resources.cpu"] == 0.5).all()
    assert results.best.score >= 10
    assert results.table()["metric.best_iteration"].tolist() == [1, 1, 1]


def test_a_class_that_cannot_be_saved_or_reused_is_run_all_the_same(tmp_path: Path) -> None:
    class Bare(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.x = config["x"]

        def step(self) -> dict[str, Any]:
            return {"loss": self.x, "done": self.iteration >= 1}

    space = {"x": tune.uniform(0, 1)}
    table = Search(trainable=Bare, space=space, metric="loss", mode="min", trials=2).run("b", str(tmp_path)).table()
    assert list(table["status"]) == ["finished", "finished"]
    assert table["checkpoint"].isna().all()


def test_the_last_report_counts_where_the_search_says_so(tmp_path: Path) -> None:
    def rises(config: dict[str, Any]) -> None:
        for i in range(3):
            tune.report({"loss": config["x"] + i})

    space = {"x": tune.uniform(0, 1)}
    results = Search(trainable=rises, space=space, metric="loss", mode="min", trials=2, score="last").run(
        "last", str(tmp_path)
    )
    table = results.table()
    assert table["score"].tolist() == table["metric.last"].tolist() == [x + 2 for x in table["config.x"]]


def test_a_plain_tuner_takes_our_sampler_as_it_is(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": (config["x"] - 0.5) ** 2})

    tuner = tune.Tuner(
        train,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg=Bayesian(startup=1), num_samples=2),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="plain", verbose=0),
    )
    assert len(tuner.fit()) == 2


def test_a_run_that_is_not_there_or_from_another_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Expected a run in .*found no search\.json"):
        Results(tmp_path / "absent")
    (tmp_path / "search.json").write_text('{"format": "huetune-run", "version": 99}')
    with pytest.raises(RunError, match="got 'huetune-run' version 99"):
        Results(tmp_path)
    (tmp_path / "search.json").write_text('{"form')
    with pytest.raises(RunError, match="Expected JSON"):
        Results(tmp_path)


def test_ray_tune_writes_its_own_state_but_twice_and_nothing_of_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It holds all trials each time: written whenever one of them is saved, it takes most of the time of a long run.
    periods, save = [], TuneController.save_to_dir

    def noted(controller: TuneController) -> None:
        save(controller)
        periods.append(controller._checkpoint_manager._checkpoint_period)

    monkeypatch.setattr(TuneController, "save_to_dir", noted)
    results = run_search(quadratic(trials=6), storage=str(tmp_path), name="a")
    assert periods == [math.inf, math.inf]
    [state] = Path(results.folder.tune).glob("*/experiment_state-*.json")
    assert json.loads(state.read_text())["trial_data"] == [["{}", "{}"]] * 6


def test_a_run_shows_one_line_where_nobody_watches_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_search(quadratic(trials=4), name="lines", storage=str(tmp_path))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4/4 trials done" in shown.err
    assert len(shown.err.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    "scheduler",
    [
        asha(),
        MedianStoppingRule(grace_period=1, min_samples_required=2),
        HyperBandScheduler(max_t=4, reduction_factor=2),
        PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"x": tune.uniform(0.2, 0.8)}
        ),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_schedulers_of_ray_tune_pass_through(tmp_path: Path, scheduler: TrialScheduler) -> None:
    search = quadratic(scheduler=scheduler, trials=6, method=Random(points_to_evaluate=[{"x": 0.5}]))
    results = search.run("passed", str(tmp_path))
    table = results.table()
    assert len(table) == 6
    assert set(table["status"]) <= {"finished", "stopped", "failed"}
    assert results.best.score == table["score"].min()
    # Where a scheduler changes a configuration on the way, the record has the one that the trial ended with.
    ended = results.measurements().groupby("trial_id")["nested/x"].last()
    alive = table[table["status"] != "failed"].set_index("trial_id")
    assert np.allclose(alive["config.x"], ended[alive.index], rtol=1e-6)


def test_a_trial_that_runs_out_of_gpu_memory_says_so_and_the_search_goes_on(tmp_path: Path) -> None:
    def hungry(config: dict[str, Any]) -> None:
        if config["batch_size"] > 32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        tune.report({"loss": 1.0})

    search = Search(
        trainable=hungry,
        space={"batch_size": tune.choice([16, 64])},
        metric="loss",
        mode="min",
        trials=2,
        method=Random(points_to_evaluate=[{"batch_size": 64}, {"batch_size": 16}]),
    )
    table = search.run("hungry", str(tmp_path)).table()
    assert table["status"].tolist() == ["out of memory", "finished"]
    assert "Trial 1 ran out of GPU memory with no GPU reserved at batch_size=64; lower it" in table["error"][0]
    assert Path(tmp_path, "hungry", "logs", "00001.txt").exists()


def test_a_run_past_its_budget_starts_nothing_new_saves_what_runs_and_can_go_on(tmp_path: Path) -> None:
    # Trials of four seconds: when three are spent, those that run cannot have ended, however slow the start was.
    search = quadratic(
        trials=30, iterations=10, scheduler=None, method=Random(), stop=[Budget(seconds=3), Patience(50)]
    )
    slow = replace(search, trainable=SlowQuadratic)
    results = slow.run("short", str(tmp_path))
    table = results.table()
    assert len(table) < 30
    assert "Budget of 3 seconds is spent" in results.definition["ended_by"]
    assert results.definition["status"] == "finished"
    interrupted = table[table["status"] == "interrupted"]
    assert len(interrupted) > 0
    assert interrupted["iterations"].between(1, 9).all()
    [session] = results.definition["sessions"]
    began, ended = (datetime.fromisoformat(session[name]) for name in ("started", "ended"))
    seconds = (ended - began).total_seconds() + 12
    longer = replace(slow, stop=Budget(seconds=seconds)).resume(str(tmp_path / "short"))
    again = longer.table().set_index("trial_id")
    assert set(again.loc[interrupted["trial_id"], "status"]) <= {"finished", "failed"}
    assert len(table) < len(again) < 30


class SlowQuadratic(Quadratic):
    """The same, at leisure."""

    def step(self) -> dict[str, Any]:
        time.sleep(0.4)
        return super().step()


def test_patience_ends_a_trial_and_the_record_says_why(tmp_path: Path) -> None:
    def flat(config: dict[str, Any]) -> None:
        for _ in range(40):
            tune.report({"loss": config["x"]})

    search = Search(
        trainable=flat,
        space={"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        trials=1,
        iterations=40,
        stop=Patience(3, smooth=1),
    )
    [row] = search.run("flat", str(tmp_path)).table().to_dict("records")
    assert (row["status"], row["iterations"]) == ("stopped", 4)
    assert "no gain in 'loss' for 3 reports" in row["ended_by"]
