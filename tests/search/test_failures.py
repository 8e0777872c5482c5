"""What crashed trials are said to have died of: by the text that Ray Tune leaves, and on real Ray."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from ray import tune
from ray.tune.experiment import Trial
from rich.text import Text

from search.running.failures import Failure, explain

HEAD = """Failure # 1 (occurred at 2026-01-01_00-00-00)
ray::Model.train() (pid=7, ip=10.0.0.2, actor_id=0a, repr=Model)
  File "/site/ray/tune/trainable/trainable.py", line 329, in train
    raise skipped from exception_cause(skipped)
  File "/home/me/model.py", line 12, in step
    raise CudaError("CUDA out of memory")
          ^^^^^^^^^
"""
DIED = """Failure # 1 (occurred at 2026-01-01_00-00-00)
The actor died unexpectedly before finishing this task.
\tclass_name: Model
\tpid: 7
\tip: 10.0.0.2
"""
LOG = "runs/demo/logs/00012.txt"


def read(trace: str, config: dict[str, Any] | None = None, **resources: float) -> Failure:
    config = {"lr": 1e-3, "batch_size": 64} if config is None else config
    return explain(trace, number=12, config=config, resources=resources or {"CPU": 2, "GPU": 0.25}, log=LOG)


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 holds 8.00 GiB",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "RuntimeError: CUDA error: out of memory",
        "torch.AcceleratorError: CUDA error: out of memory",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "RuntimeError: HIP out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: MPS backend out of memory (MPS allocated: 8.00 GB)",
    ],
)
def test_a_full_gpu_is_its_own_status_and_says_what_to_do_next(line: str) -> None:
    assert read(HEAD + line) == Failure(
        "out of memory",
        "Trial 12 ran out of GPU memory with 0.25 of a GPU at batch_size=64; lower it or give the trial a larger share:"
        f' resources={{"gpu": 0.5}}. Its log: {LOG}',
    )


@pytest.mark.parametrize(("share", "larger"), [(0.0, "1"), (0.3, "0.6"), (0.5, "1"), (0.75, "1")])
def test_the_larger_share_that_is_named_is_at_most_a_whole_gpu(share: float, larger: str) -> None:
    reason = read(HEAD + "torch.OutOfMemoryError: CUDA out of memory.", gpu=share, cpu=1).reason
    assert f'resources={{"gpu": {larger}}}' in reason


def test_a_trial_with_a_whole_gpu_is_not_told_to_take_a_larger_share() -> None:
    reason = read(HEAD + "torch.OutOfMemoryError: CUDA out of memory.", GPU=1.0).reason
    assert "ran out of GPU memory at batch_size=64; lower it or take a GPU with more memory" in reason
    assert "resources=" not in reason


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"data": {"batch_size": 8}}, "at data/batch_size=8; lower it"),
        ({"batch": 4}, "at batch=4; lower it"),
        ({"train_batch_size": 4}, "at train_batch_size=4; lower it"),
        ({"lr": 0.1, "batch_norm": True}, "; make the model or its batches smaller"),
        ({"batch_size": "auto"}, "; make the model or its batches smaller"),
    ],
)
def test_the_batch_size_is_found_under_its_usual_names(config: dict[str, Any], where: str) -> None:
    assert where in read(HEAD + "torch.OutOfMemoryError: CUDA out of memory.", config).reason


@pytest.mark.parametrize(
    "line",
    [
        "MemoryError",
        "MemoryError: in setup",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.00 PiB for an array with shape (1125899,)",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you",
        "OSError: [Errno 12] Cannot allocate memory",
        "RuntimeError: std::bad_alloc",
    ],
)
def test_full_memory_of_the_machine_is_told_from_that_of_the_gpu(line: str) -> None:
    assert read(HEAD + line) == Failure(
        "out of memory",
        "Trial 12 ran out of the machine's memory at batch_size=64; lower it or have fewer trials on a machine:"
        f' resources={{"cpu": 4}}. Its log: {LOG}',
    )


def test_a_trial_that_rays_memory_monitor_ended_ran_out_of_memory() -> None:
    line = (
        "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.2, ID: 1b44)"
        " was 22.99GB used / 23.54GB limit (0.976)\nOOM kill reason: Memory usage exceeded\nTop 10 memory users: PID"
    )
    failure = read(f"Failure # 1 (occurred at 2026-01-01_00-00-00)\n{line}\n", CPU=1.0)
    assert failure.status == "out of memory"
    assert failure.reason.startswith(
        "Trial 12 was ended by Ray because its machine 10.0.0.2 (22.99GB used / 23.54GB limit) ran low on memory"
    )
    assert 'resources={"cpu": 2}' in failure.reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail:"
            " Worker unexpectedly exits with a connection error code 2. End of file.",
            "The process of trial 12 was killed or crashed. Most often the system kills for want of memory",
        ),
        (
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail:"
            " Worker exits unexpectedly. Worker exits with an exit code 3.",
            "The process of trial 12 ended with exit code 3: something in it calls exit.",
        ),
        (
            "The worker died unexpectedly while executing this task. Check python-core-worker-*.log files",
            "The process of trial 12 was killed or crashed.",
        ),
    ],
)
def test_a_process_that_died_is_failed_with_what_is_known_of_it(line: str, said: str) -> None:
    failure = read(DIED + line)
    assert failure.status == "failed"
    assert failure.reason.startswith(said)
    assert LOG in failure.reason


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("ValueError: x is too large: 0.95", "ValueError: x is too large: 0.95"),
        ("KeyError", "KeyError"),
        ("ValueError: first line\nsecond line: bad\n\nthird", "ValueError: first line"),
        ("model.Model.setup.<locals>.Diverged: loss", "model.Model.setup.<locals>.Diverged: loss"),
        ("model.Trouble: with\ntwo lines", "model.Trouble: with"),
        ("ValueError: a hint: the error MemoryError is something else", None),
    ],
)
def test_any_other_exception_is_named_by_its_line_in_the_traceback(lines: str, reason: str | None) -> None:
    assert read(HEAD + lines) == Failure("failed", reason or lines)


def test_a_file_without_a_traceback_gives_its_last_line() -> None:
    assert read("no traceback").reason == "no traceback"
    assert read("").reason == "no traceback"


def test_of_a_trial_that_was_tried_again_the_last_attempt_counts() -> None:
    first, second = HEAD + "torch.OutOfMemoryError: CUDA out of memory.\n\n", HEAD + "ValueError: then this\n\n"
    assert read(first + second) == Failure("failed", "ValueError: then this")
    assert read(second + first).status == "out of memory"


@pytest.mark.usefixtures("cluster")
def test_what_real_trials_leave_behind_is_understood(tmp_path: Path) -> None:
    def crash(config: dict[str, Any]) -> None:
        if config["how"] == "gpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        os.kill(os.getpid(), signal.SIGKILL)

    class Explain(tune.Callback):
        def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
            trace = Text.from_ansi(Path(trial.error_file).read_text()).plain
            needed = trial.placement_group_factory.required_resources
            found[trial.config["how"]] = explain(trace, number=3, config=trial.config, resources=needed, log="a.txt")

    found: dict[str, Failure] = {}
    tune.Tuner(
        crash,
        param_space={"how": tune.grid_search(["gpu", "killed"]), "batch_size": 16},
        run_config=tune.RunConfig(storage_path=str(tmp_path), callbacks=[Explain()], verbose=0),
    ).fit()
    assert {how: failure.status for how, failure in found.items()} == {"gpu": "out of memory", "killed": "failed"}
    assert "Trial 3 ran out of GPU memory with no GPU reserved at batch_size=16" in found["gpu"].reason
    assert "was killed or crashed" in found["killed"].reason
