"""The definition of a search: what is tried, how, and until when. A frozen value, checked when it is made."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ray.tune import Stopper, Trainable
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from search.errors import SearchError
from search.method import SearchMethod
from search.models.optuna_searcher import OptunaSearcher
from search.params import as_data
from search.samplers import Bayesian
from search.space import Space
from search.stopping.stoppers import Stoppers

if TYPE_CHECKING:
    from search.models.define_by_run import SpaceFunction
    from search.results import Results


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search over the hyperparameters of one trainable.

    Attributes:
        trainable: what Ray Tune takes: a class or function trainable, `tune.with_parameters`, `tune.with_resources`.
        space: Ray Tune domains and constants by name, nested as the trainable wants them; or, with a sampler as method,
            an Optuna define-by-run function that asks an `optuna.Trial` for parameters and may return constants.
        metric: the reported value that decides, under the name the trial reports it by.
        mode: "max" if more is better, "min" if less is.
        trials: how many trials at most; None for as many as the method has, or 16 where it has no end of its own.
        iterations: reports of a full trial; None if the trainable ends by itself.
        method: a Ray Tune `Searcher`; `Bayesian()` unless told otherwise.
        scheduler: a Ray Tune scheduler that stops trials early, such as `asha(iterations)`; None trains all in full.
        stop: a Ray Tune `Stopper` beside `iterations`, or several: `Patience`, `Diverged`, `Budget`.
        resources: what a trial occupies, such as {"cpu": 2, "gpu": 0.5}; None leaves it to the trainable (1 CPU).
        concurrent: trials under way at once at most; None for as many as the cluster holds.
        score: whether a trial counts by its "best" or by its "last" report.
        keep_checkpoints: trials of the run whose checkpoints are kept, the best ones.
        snapshots: checkpoints that are kept of each of them: the one it counts by, then the latest others.
        max_failures: how often a trial that crashed is tried again, from its checkpoint, before it counts as failed. A
            machine that is lost is no crash of the trial: it goes on elsewhere, however often.
        seed: of the suggestions and, through `config["seed"]`, of the trials.
    """

    trainable: Callable[..., Any] | type[Trainable]
    space: Mapping[str, Any] | SpaceFunction
    metric: str
    mode: Literal["min", "max"]
    trials: int | None = None
    iterations: int | None = None
    method: Searcher = field(default_factory=Bayesian)
    scheduler: TrialScheduler | None = None
    stop: Stopper | Sequence[Stopper] | None = None
    resources: Mapping[str, float] | None = None
    concurrent: int | None = None
    score: Literal["best", "last"] = "best"
    keep_checkpoints: int = 8
    snapshots: int = 1
    max_failures: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not callable(self.trainable):
            raise SearchError(
                f"Expected a class or function trainable, got {self.trainable!r}."
                " Give Search(trainable=...) what you would give tune.Tuner."
            )
        _among("mode", self.mode, ("min", "max"))
        _among("score", self.score, ("best", "last"))
        for name, least in (("keep_checkpoints", 1), ("snapshots", 1), ("max_failures", 0), ("seed", 0)):
            _at_least(name, getattr(self, name), least)
        for name in ("trials", "iterations", "concurrent"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        if not self.metric:
            raise SearchError('Expected the name of a reported value as metric, got "". Name what the trial reports.')
        if not isinstance(self.method, Searcher):
            raise SearchError(
                f"Expected method to be a searcher such as Random() or Bayesian(), got {self.method!r}. Call the class."
            )
        _ = self.stoppers
        if not isinstance(self.space, Mapping):
            if not isinstance(self.method, OptunaSearcher):
                raise SearchError(
                    f"Expected a sampler such as Bayesian() for a space function, got {self.method!r}."
                    " Write the space as a dict of Ray Tune domains for that."
                )
            object.__setattr__(self, "method", self.method.over(self.space))
        if not self.axes.axes:
            raise SearchError(
                "Expected at least one parameter to search, got none."
                ' Put a Ray Tune domain into the space: {"lr": tune.loguniform(1e-5, 1e-2)}.'
            )
        self.fresh_method()

    @property
    def axes(self) -> Space:
        """Every axis that trials may vary on."""
        space = Space.from_domains(self.domains)
        return self.method.whole_space(space) if isinstance(self.method, SearchMethod) else space

    @property
    def domains(self) -> Mapping[str, Any]:
        """The space as Ray Tune takes it; nothing where a function asks for the parameters."""
        return self.space if isinstance(self.space, Mapping) else {}

    def fresh_method(self) -> Searcher:
        """The method as one run needs it: a copy with a state of its own, which knows what it is to search.

        Raises:
            SearchError: it cannot search this space.
        """
        method = copy.deepcopy(self.method)
        if isinstance(method, SearchMethod):
            method.iterations, method.score, method.seed = self.iterations, self.score, self.seed
            method.set_search_properties(self.metric, self.mode, self.domains)
        return method

    @property
    def asked(self) -> int | None:
        """How many trials are asked for; None for as many as the method has."""
        ends = isinstance(self.method, SearchMethod) and self.method.ends
        return self.trials if self.trials is not None or ends else 16

    @property
    def stoppers(self) -> Stoppers:
        """What `stop` comes to: fresh copies that know the metric and what a trial occupies."""
        gpus = float((self.resources or {}).get("gpu", 0.0))
        return Stoppers.of(self.stop, self.metric, self.mode, gpus)

    def run(self, name: str | None = None, storage: str = "runs") -> Results:
        """Run the search to its end on the Ray cluster this process belongs to, or on a local one.

        Args:
            name: of the run; its files lie in `storage`/`name`. By default a time stamp.
            storage: a folder, or the address of one in a bucket.

        Raises:
            RunError: the name is taken, or no trial can be run.
        """
        from search.runner import run

        return run(self, name=name, storage=storage)

    def resume(self, run: str, *, more: int = 0) -> Results:
        """Go on with a run of this search: trials that ended stay, those under way go on from their checkpoints.

        Args:
            run: its folder or address.
            more: trials beyond those asked for so far.

        Raises:
            RunError: there is no such run, it still goes on, or it was made with another definition.
        """
        from search.runner import resume

        return resume(self, run, more=more)

    def describe(self) -> dict[str, Any]:
        """The definition as JSON data, for the record."""
        return {
            "metric": self.metric,
            "mode": self.mode,
            "score": self.score,
            "trials": self.asked,
            "iterations": self.iterations,
            "seed": self.seed,
            "method": repr(self.method),
            "scheduler": type(self.scheduler).__name__ if self.scheduler else None,
            "trainable": trainable_name(self.trainable),
            "resources": as_data(dict(self.resources)) if self.resources else None,
            "keep_checkpoints": self.keep_checkpoints,
            "snapshots": self.snapshots,
            "space": self.axes.describe(),
        }


def trainable_name(trainable: Any) -> str:
    """The name people know a trainable by, under any wrapping."""
    inner = inspect.unwrap(trainable)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _among(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SearchError(f"Expected {name} to be one of {', '.join(known)}, got {value!r}. Correct {name}=.")


def _at_least(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SearchError(f"Expected {name} to be a whole number from {least}, got {value!r}. Correct {name}=.")
