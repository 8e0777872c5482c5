"""When a trial, or the run, has gone on long enough: Ray Tune schedulers and stoppers."""

from __future__ import annotations

from ray.tune.schedulers import ASHAScheduler

from search.errors import SearchError


def asha(iterations: int = 100, *, grace: int = 1, reduction: int = 3) -> ASHAScheduler:
    """Asynchronous successive halving (Li et al., MLSys 2020), Ray Tune's own, with defaults that suit GAN trials.

    At iterations `grace`, `grace * reduction`, ... a trial goes on only if it is in the best 1/`reduction` of those
    that have come so far.

    Args:
        iterations: reports of a full trial.
        grace: reports that every trial may make before it can be stopped.
        reduction: how many come to a rung for one that goes beyond it.

    Raises:
        SearchError: a grace period outside 1..iterations, or a reduction below 2.
    """
    if not 1 <= grace <= iterations:
        raise SearchError(
            f"Expected 1 <= grace <= iterations, got grace={grace}, iterations={iterations}."
            " A trial reports at least once before it is judged."
        )
    if reduction < 2:
        raise SearchError(f"Expected a reduction factor of at least 2, got {reduction}. 3 is a good start.")
    return ASHAScheduler(max_t=iterations, grace_period=grace, reduction_factor=reduction)
