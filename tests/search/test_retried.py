"""A trial outlives its machines, and is given up after crashes of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError, TaskCancelledError
from ray.train._internal.storage import StorageContext
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
    return RayTaskError("train", "a traceback", cause)


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
