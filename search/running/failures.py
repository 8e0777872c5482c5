"""What a trial that crashed died of, in one line that says what to do next. Reads text; knows no run."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search.params import flatten

# How PyTorch (CUDA, ROCm, MPS) and the libraries below it say that a device is full.
_GPU_FULL = re.compile(
    r"torch(\.cuda)?\.OutOfMemoryError|(CUDA|HIP|MPS backend) out of memory|(CUDA|HIP) error: out of memory"
    r"|CU(DNN|BLAS|SOLVER|SPARSE|FFT)_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED|cudaErrorMemoryAllocation"
)
# How Python, numpy, PyTorch and C++ say that the machine's own memory is full.
_HOST_FULL = re.compile(
    r"^[\w.]*MemoryError\b|DefaultCPUAllocator: (can't allocate|not enough) memory|std::bad_alloc"
    r"|Cannot allocate memory"
)
_DISK_FULL = re.compile("|".join(re.escape(os.strerror(number)) for number in (errno.ENOSPC, errno.EDQUOT)))
_ERROR = re.compile(r"[A-Za-z_][\w.<>]*(Error|Exception|Exit|Interrupt|Diverged)\b")
# How Ray puts the death of a worker.
_LOW_ON_MEMORY = re.compile(r"killed due to the node running low on memory")
_NODE_MEMORY = re.compile(r"\(IP: (?P<node>[^,]+), .*? was (?P<used>\S+ used / \S+ limit)")
_EXIT_CODE = re.compile(r"exits with an exit code (?P<code>-?\d+)")
_WORKER_GONE = re.compile(r"worker process has died|worker died unexpectedly|Worker unexpectedly exits")
_NODE_GONE = re.compile(r"its node has died|running on is dead or unavailable|was (forcibly )?preempted|by preemption")


@dataclass(frozen=True)
class Failure:
    """How a crashed trial counts, and why it crashed."""

    status: Literal["failed", "out of memory"]
    reason: str


def explain(trace: str, *, number: int, config: Mapping[str, Any], resources: Mapping[str, float], log: str) -> Failure:
    """Read what Ray Tune wrote about a crashed trial.

    Args:
        trace: the text of its error file, without colours. Of a trial that was tried again, the last attempt counts.
        number: of the trial.
        config: its configuration; a batch size in it is named.
        resources: what it occupied, by "GPU" or "gpu", "CPU" or "cpu".
        log: where the whole text can be read.
    """
    lines = _last_attempt(trace)
    said = [line for line in lines if not line[:1].isspace()]
    share = {name.lower(): amount for name, amount in resources.items()}
    if any(_GPU_FULL.search(line) for line in said):
        return Failure("out of memory", _gpu_full(number, config, share.get("gpu", 0.0), log))
    if killed := next((line for line in said if _LOW_ON_MEMORY.search(line)), None):
        machine = _NODE_MEMORY.search(killed)
        where = f" {machine['node']} ({machine['used']})" if machine else ""
        what = f"Trial {number} was ended by Ray because its machine{where} ran low on memory"
        return Failure("out of memory", _host_full(what, config, share.get("cpu", 1.0), log))
    if any(_HOST_FULL.search(line) for line in said):
        what = f"Trial {number} ran out of the machine's memory"
        return Failure("out of memory", _host_full(what, config, share.get("cpu", 1.0), log))
    if any(says_disk_full(line) for line in said):
        why = f"Trial {number} found no room on a disk of its machine. Make room there. Its log: {log}"
        return Failure("failed", why)
    return Failure("failed", _lost_process(said, number, log) or _named_error(lines))


def says_machine_lost(text: str) -> bool:
    """Whether Ray says that not the process alone, but the machine under it has gone."""
    return bool(_NODE_GONE.search(text))


def says_disk_full(text: str) -> bool:
    """Whether a trial found no room on a disk."""
    return bool(_DISK_FULL.search(text))


def says_out_of_memory(text: str) -> bool:
    """Whether a trial found no room in the memory of its GPU or of its machine."""
    found = any(_GPU_FULL.search(line) or _HOST_FULL.search(line) for line in text.splitlines())
    return found or bool(_LOW_ON_MEMORY.search(text))


def in_short(trace: str) -> str:
    """What an attempt died of, to stand in a line with other things.

    Args:
        trace: as for `explain`.
    """
    lines = _last_attempt(trace)
    text = "\n".join(line for line in lines if not line[:1].isspace())
    if says_machine_lost(text):
        return "its machine went away"
    if _GPU_FULL.search(text):
        return "it ran out of GPU memory"
    if says_out_of_memory(text):
        return "it ran out of the machine's memory"
    if code := _EXIT_CODE.search(text):
        return f"its process ended with exit code {code['code']}"
    return "its process died" if _WORKER_GONE.search(text) else _named_error(lines)


def _last_attempt(trace: str) -> list[str]:
    """The lines of the last failure in a file to which Ray adds each."""
    lines = [line for line in trace.splitlines() if line.strip()]
    heads = [at for at, line in enumerate(lines) if line.startswith("Failure # ")]
    return lines[heads[-1] + 1 :] if heads else lines


def _gpu_full(number: int, config: Mapping[str, Any], share: float, log: str) -> str:
    if share >= 1:
        other = "take a GPU with more memory"
    else:
        # A trial that reserved no GPU shared it with others unawares.
        other = f'give the trial a larger share: resources={{"gpu": {min(2 * share, 1) or 1:g}}}'
    had = "" if share >= 1 else f" with {share:g} of a GPU" if share else " with no GPU reserved"
    return f"Trial {number} ran out of GPU memory{had}{_lower(config)} or {other}. Its log: {log}"


def _host_full(what: str, config: Mapping[str, Any], cpus: float, log: str) -> str:
    fewer = f'have fewer trials on a machine: resources={{"cpu": {2 * max(cpus, 1):g}}}'
    return f"{what}{_lower(config)} or {fewer}. Its log: {log}"


def _lower(config: Mapping[str, Any]) -> str:
    """Where a smaller trial starts: at its batch size, if it has one."""
    for name, value in flatten(config).items():
        if re.fullmatch(r"(\w*_)?batch(_?size)?", name.rsplit("/", 1)[-1]) and isinstance(value, int | float):
            return f" at {name}={value}; lower it"
    return "; make the model or its batches smaller"


def _lost_process(said: list[str], number: int, log: str) -> str | None:
    text = "\n".join(said)
    if code := _EXIT_CODE.search(text):
        return (
            f"The process of trial {number} ended with exit code {code['code']}: something in it calls exit."
            f" Raise an exception instead. What Ray says: {log}"
        )
    if _WORKER_GONE.search(text):
        return (
            f"The process of trial {number} was killed or crashed. Most often the system kills for want of memory"
            " (dmesg says so): have fewer trials on a machine, or lower what each needs. Else some native code crashed."
            f" What Ray says: {log}"
        )
    return None


def _named_error(lines: list[str]) -> str:
    """The line of a traceback that names the error."""
    named = [line for line in lines if _ERROR.match(line)]
    if named:
        return named[-1]
    # An exception of the user's by any name follows the last frame; the lines after it are its message.
    frames = [at for at, line in enumerate(lines) if line[:1].isspace()]
    after = lines[frames[-1] + 1 :] if frames else []
    return (after or lines or ["no traceback"])[0 if after else -1].strip()
