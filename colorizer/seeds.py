"""Seeds, and what a trial must find in a process that another trial has used before."""

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices).

    Args:
        seed: 0 <= seed < 2**32.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"Expected 0 <= seed < 2**32, got {seed}.")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for code we do not know; ours never draws from it
    torch.manual_seed(seed)


def isolate(seed: int, threads: int = 1) -> None:
    """Put the process into the state in which every trial starts, whatever the one before did to it.

    Sets torch's threads, gradient mode, default dtype and device, autocast, determinism and float32 precision
    switches and the global seeds, and returns cached GPU memory.

    Args:
        seed: see `seed_everything`.
        threads: for one operation on the CPU, 1 or more.
    """
    if threads < 1:
        raise ValueError(f"Expected threads >= 1, got {threads}.")
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    torch.autograd.set_detect_anomaly(False)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = False
    for device in ("cpu", "cuda"):
        torch.set_autocast_enabled(device, False)
    torch.clear_autocast_cache()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    seed_everything(seed)
