"""A trial outlives its machines, and is given up after crashes of its own."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError, TaskCancelledError
from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune import Checkpoint
from ray.tune.experiment import Trial

from search import Random, Results, Search
from search.running.failures import in_short
from search.running.retried import RetriedTrial, is_machine_lost


def died(message: str, reason: Any = None) -> ActorDiedError:
    context = ActorDiedErrorContext(error_message=message, actor_id=b"a" * 16)
    if reason is not None:
        context.node_death_info.reason = reason
    error = ActorDiedError(context)
    error.args = ()  # messages of the protocol cannot be pickled here
    return error


NODE_DIED = died("The actor died because its node has died. Node Id: 0a")
PREEMPTED = died("The node was drained.", NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED)
PROCESS_DIED = died("The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR")
CUT_OFF = ActorUnavailableError("rpc error", b"a" * 16)


def in_a_task(cause: Exception) -> RayTaskError:
    return RayTaskError("train", f"a traceback\n{type(cause).__name__}: {cause}", cause)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (NODE_DIED, True),
        (PREEMPTED, True),
        (CUT_OFF, True),
        (in_a_task(NODE_DIED), True),
        (PROCESS_DIED, False),
        (RayActorError(), False),
        (in_a_task(ValueError("its node has died")), False),  # words of the user's own
        (TaskCancelledError(), False),
        (None, False),
    ],
)
def test_what_counts_as_a_lost_machine(error: Exception | None, lost: bool) -> None:
    assert is_machine_lost(error) is lost


def trial_of_ray(tmp_path: Path) -> Trial:
    storage = StorageContext(str(tmp_path), experiment_dir_name="run", trial_dir_name="trial")
    trial = Trial("a trainable", stub=True, max_failures=2, storage=storage)
    trial.init_local_path()
    return trial


def test_only_crashes_of_its_own_count_against_a_trial(cluster: None, tmp_path: Path) -> None:
    trial = trial_of_ray(tmp_path)
    RetriedTrial.take(trial)
    for _ in range(20):
        for error in (NODE_DIED, PREEMPTED, CUT_OFF):
            trial.handle_error(error)
            assert trial.should_recover()
    for _ in range(2):
        trial.handle_error(in_a_task(ValueError("loss is NaN")))
        assert trial.should_recover()
        trial.handle_error(NODE_DIED)
        assert trial.should_recover()
    trial.handle_error(PROCESS_DIED)
    assert not trial.should_recover()


def test_crashes_of_earlier_sessions_count_too(cluster: None, tmp_path: Path) -> None:
    trial = trial_of_ray(tmp_path)
    RetriedTrial.take(trial, crashes=2)
    trial.handle_error(PROCESS_DIED)
    assert not trial.should_recover()


def test_a_trial_goes_back_as_far_as_there_are_checkpoints_and_then_its_crashes_count(
    cluster: None, tmp_path: Path
) -> None:
    results = [_TrainingResult(Checkpoint(str(tmp_path)), {"training_iteration": n}) for n in (3, 2, 1)]
    trial = trial_of_ray(tmp_path)
    RetriedTrial.take(trial, earlier=results[1:])
    trial._restore_checkpoint_result = results[0]
    for result in results:
        assert trial.latest_checkpoint_result is result
        trial.temporary_state.restoring_from = result
        for error in (NODE_DIED, in_a_task(MemoryError())):  # says nothing of the checkpoint
            trial.handle_error(error)
            assert trial.latest_checkpoint_result is result
        trial.run_metadata.num_failures = 0
        trial.handle_error(in_a_task(ValueError("damaged")))
        assert f"after iteration {result.metrics['training_iteration']} could not be loaded" in trial.excuse
    assert trial.latest_checkpoint_result is None
    for _ in range(3):
        assert trial.should_recover()
        trial.handle_error(in_a_task(ValueError("loss is NaN")))
        assert trial.excuse is None
    assert not trial.should_recover()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NODE_DIED, "its machine went away"),
        (PROCESS_DIED, "its process died"),
        ("ValueError: loss is NaN", "ValueError: loss is NaN"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "it ran out of GPU memory"),
        ("MemoryError", "it ran out of the machine's memory"),
        ("Worker exits with an exit code 3.", "its process ended with exit code 3"),
    ],
)
def test_an_end_is_told_in_few_words(error: object, said: str) -> None:
    assert (
        in_short(f"Failure # 1 (occurred at 2026-01-01)\nMemoryError\nFailure # 2 (occurred at …)\n{error}\n") == said
    )


class Stumbles(tune.Trainable):
    """Crashes at iteration 2 as often as its configuration says, counted in a folder; goes on from its checkpoint."""

    def setup(self, config: dict[str, Any]) -> None:
        self.done = 0

    def step(self) -> dict[str, Any]:
        self.done += 1
        tally = Path(self.config["tally"]) / f"{self.trial_id}.txt"
        crashes = len(tally.read_text()) if tally.exists() else 0
        if self.done == 2 and crashes < self.config["crashes"]:
            tally.write_text("x" * (crashes + 1))
            raise ValueError(f"stumbled for the {crashes + 1}. time")
        return {"loss": self.done * self.config["x"]}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "done.json").write_text(json.dumps(self.done))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.done = json.loads((Path(checkpoint_dir) / "done.json").read_text())


def stumbling(tmp_path: Path, crashes: int, **settings: Any) -> Results:
    search = Search(
        trainable=Stumbles,
        space={"x": tune.uniform(1, 2), "crashes": crashes, "tally": str(tmp_path)},
        metric="loss",
        mode="min",
        trials=2,
        iterations=3,
        method=Random(),
        **settings,
    )
    return search.run("run", str(tmp_path / "runs"))


def test_a_trial_that_stumbles_twice_goes_on_from_its_checkpoint(cluster: None, tmp_path: Path) -> None:
    results = stumbling(tmp_path, crashes=2)
    trials = results.table()
    assert list(trials["status"]) == ["finished", "finished"]
    assert list(trials["attempts"]) == [3, 3]
    for history in trials["history"]:
        first, second, last = json.loads(history)
        assert (first["why"], first["crashed"]) == ("ValueError: stumbled for the 1. time", True)
        assert (second["why"], second["crashed"]) == ("ValueError: stumbled for the 2. time", True)
        assert first["started"] <= first["lost"] <= second["started"] <= second["lost"] <= last["started"]
        assert (last["lost"], last["why"], last["crashed"]) == (None, None, False)
    measured = results.measurements()
    # Nothing is measured twice: the first iteration was not run again.
    assert sorted(measured.groupby("trial_id")["iteration"].apply(list)) == [[1, 2, 3], [1, 2, 3]]
    assert set(measured.loc[measured["iteration"] == 1, "attempt"]) == {1}


def test_a_trial_that_crashes_three_times_is_given_up_with_its_reason(cluster: None, tmp_path: Path) -> None:
    trials = stumbling(tmp_path, crashes=5).table()
    assert list(trials["status"]) == ["failed", "failed"]
    assert list(trials["attempts"]) == [3, 3]
    assert list(trials["error"]) == ["ValueError: stumbled for the 3. time"] * 2


def test_how_often_it_is_tried_again_can_be_said(cluster: None, tmp_path: Path) -> None:
    trials = stumbling(tmp_path, crashes=5, max_failures=0).table()
    assert list(trials["attempts"]) == [1, 1]
    assert list(trials["error"]) == ["ValueError: stumbled for the 1. time"] * 2


class FailsWhenTaken(Stumbles):
    """The first attempt to give its process to the next trial fails."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        once = Path(new_config["tally"]) / "taken.once"
        if not once.exists():
            once.touch()
            if new_config["dies"]:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError("the data cannot be reached")
        self.setup(new_config)
        return True


@pytest.mark.parametrize("dies", [True, False])
def test_a_trial_is_tried_again_where_the_process_it_takes_over_fails(
    cluster: None, tmp_path: Path, dies: bool
) -> None:
    search = Search(
        trainable=FailsWhenTaken,
        space={"x": tune.uniform(1, 2), "crashes": 0, "tally": str(tmp_path), "dies": dies},
        metric="loss",
        mode="min",
        trials=4,
        iterations=2,
        method=Random(),
        resources={"cpu": 2},  # one after another, so that processes are taken over
    )
    results = search.run("run", str(tmp_path / "runs"))
    assert (tmp_path / "taken.once").exists()
    assert list(results.table()["status"]) == ["finished"] * 4


class Damaged(Stumbles):
    """Crashes once at iteration 3, with its latest checkpoints cut short."""

    def step(self) -> dict[str, Any]:
        self.done += 1
        once = Path(self.config["tally"]) / f"{self.trial_id}.once"
        if self.done == 3 and not once.exists():
            once.touch()
            for file in sorted(once.parent.glob(f"runs/run/tune/*/{self.trial_id}/*/done.json"))[-self.config["cut"] :]:
                file.write_text("")
            raise ValueError("stumbled")
        return {"loss": self.done * self.config["x"], "at": self.done}


@pytest.mark.parametrize(("cut", "last"), [(1, 1), (2, None)])
def test_a_trial_goes_on_from_the_checkpoint_before_one_that_is_damaged(
    cluster: None, tmp_path: Path, cut: int, last: int | None
) -> None:
    search = Search(
        trainable=Damaged,
        space={"x": tune.uniform(1, 2), "cut": cut, "tally": str(tmp_path)},
        metric="loss",
        mode="min",
        trials=2,
        iterations=4,
        method=Random(),
        max_failures=1,
    )
    results = search.run("run", str(tmp_path / "runs"))
    trials, measured = results.table(), results.measurements()
    assert list(trials["status"]) == ["finished", "finished"]
    for history in trials["history"]:
        crash, *failed, _ = json.loads(history)
        assert (crash["why"], crash["crashed"]) == ("ValueError: stumbled", True)
        # That is said, and counts as no crash: one more would have been one too many.
        said = "its checkpoint after iteration {} could not be loaded: json.decoder.JSONDecodeError: Expecting value"
        assert [one["why"].startswith(said.format(2 - i)) for i, one in enumerate(failed)] == [True] * cut
        assert not any(one["crashed"] for one in failed)
    assert (measured["at"] == measured["iteration"]).all()
    again = measured[measured["attempt"] == cut + 2].groupby("trial_id")["iteration"].min()
    assert set(again) == {(last or 0) + 1}
