"""Independent pieces of work as Ray tasks: the `map` that commands hand to those who do not know Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from search.cluster.nodes import connect
from search.errors import RunError

Item = TypeVar("Item")
Done = TypeVar("Done")


def ray_map(
    function: Callable[[Item], Done], items: Iterable[Item], resources: Mapping[str, float] | None = None
) -> Iterator[Done]:
    """`map`, with a Ray task an item; results come as they are ready, in no order.

    A task whose node is lost is run again. Where one fails, or the caller stops asking, the others are cancelled.

    Args:
        function: one that Ray can send to another machine.
        items: arguments, one a task.
        resources: of a task: "cpu", "gpu", and names of the cluster's own; {"cpu": 1} by default.

    Raises:
        RunError: a task cannot run. What the function raises is raised as it is.
    """
    connect()
    asked = dict(resources or {"cpu": 1})

    def work(item: Item) -> Done:  # Ray takes functions alone, not whatever can be called
        return function(item)

    task = ray.remote(work).options(
        num_cpus=asked.pop("cpu", 1), num_gpus=asked.pop("gpu", 0), resources=asked, max_retries=3
    )
    waiting: list[Any] = [task.remote(item) for item in items]
    try:
        while waiting:
            (ready, *_), waiting = ray.wait(waiting, num_returns=1)
            yield ray.get(ready)
    except RayTaskError as failure:
        raise failure.cause or failure from None
    except RayError as failure:
        raise RunError(f"Ray could not run a task: {str(failure).strip().splitlines()[-1]}") from failure
    finally:
        for left in waiting:
            ray.cancel(left, force=False)
