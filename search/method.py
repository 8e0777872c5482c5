"""What every search method here is: a Ray Tune `Searcher` that is told the truth and remembers it.

A method proposes; this room keeps the record. A trial that ran its full length is COMPLETE, one that was stopped early
is PRUNED with what it reported on the way, one that failed or whose metric is not a finite number is FAIL. What a
method proposes depends on its seed, on the number of the suggestion and on the events so far, and on nothing else:
`save` writes the events, and `restore` plays them again, so that a restored method goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import logging
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
from ray.tune.result import TRAINING_ITERATION
from ray.tune.search import Searcher

from search.errors import SearchError
from search.params import Params, nest
from search.space import Space
from search.suggestion import Standing, Suggestion, Told

FINISHED = Searcher.FINISHED
Event = dict[str, Any]

_log = logging.getLogger(__name__)


class SearchMethod(Searcher):
    """A Ray Tune `Searcher` whose children say what to try next.

    Children implement `propose`, and where they have something to prepare or to keep up to date `on_space`,
    `on_suggestion` and `on_end`. These three are called in the order of events, also when the events of an earlier life
    are played again; whatever a child remembers has to follow from them.

    Args:
        score: whether a trial counts by its "best" or its "last" report. A search sets it.
        iterations: how many reports a full trial makes. A search sets it, and so does `stop={"training_iteration": n}`
            in a plain `tune.Tuner`; where neither does, the longest trial so far is taken for a full one.
        seed: of the suggestions, and of `config["seed"]`, which every trial is given unless the space has a `seed`.

    Attributes:
        told: all trials so far, by id, in the order of their suggestions.
        running: those of them that have not ended.
    """

    # Whether the method ends by itself; then a search may leave the number of trials to it.
    ends = False

    def __init__(
        self, *, score: Literal["best", "last"] = "best", iterations: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.score = score
        self.iterations = iterations
        self.seed = seed
        self.told: dict[str, Told] = {}
        self.running: dict[str, Told] = {}
        self._space: Space | None = None
        self._events: list[Event] = []
        self._longest = 0

    @abstractmethod
    def propose(self, number: int) -> Suggestion | str | None:
        """The suggestion of this number; None while it has to wait for running trials, FINISHED after the last."""

    def on_space(self) -> None:
        """The space, metric and mode are known: check them and prepare.

        Raises:
            SearchError: the space does not suit the method.
        """

    def on_suggestion(self, trial: Told) -> None:
        """A trial was suggested; it is in `told`."""

    def on_end(self, trial: Told) -> None:
        """A trial has ended; its state and value are final."""

    def whole_space(self, space: Space) -> Space:
        """Every axis that trials may vary on, for the record; stages may have more than the search's own."""
        return space

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Take the space and the metric from Ray Tune; called once, before the first suggestion."""
        if self._space is not None or metric is None or mode is None:
            return False
        stop = spec.get("stop")
        if self.iterations is None and isinstance(stop, Mapping):
            self.iterations = stop.get(TRAINING_ITERATION)
        self.begin(metric, mode, Space.from_domains(config))
        return True

    def begin(self, metric: str, mode: str, space: Space) -> None:
        """Take up a space, knowing nothing of it.

        Raises:
            SearchError: it does not suit the method.
        """
        self._metric, self._mode, self._space = metric, mode, space
        self.replay(())

    @property
    def space(self) -> Space:
        """The space.

        Raises:
            SearchError: it is not known yet.
        """
        if self._space is None:
            raise SearchError(
                f"Expected {type(self).__name__} to know its space, metric and mode before it suggests."
                " Give metric, mode and param_space to the Tuner or the Search."
            )
        return self._space

    @property
    def minimize(self) -> bool:
        """Whether less is better."""
        return bool(self._mode == "min")

    def loss(self, value: float) -> float:
        """A value as something to make small, whatever the mode."""
        return value if self.minimize else -value

    def suggest(self, trial_id: str) -> Params | str | None:
        """The configuration of the next trial, None to wait, FINISHED to end."""
        _ = self.space
        suggestion = self.propose(len(self.told))
        if not isinstance(suggestion, Suggestion):
            return suggestion
        self.play({"event": "suggest", "trial": trial_id, "suggestion": asdict(suggestion)})
        return self.config(trial_id)

    def config(self, trial_id: str) -> Params:
        """The nested configuration of a trial that was suggested."""
        told = self.told[trial_id]
        flat = {"seed": derived_seed(self.seed, told.number, 1)} | self.settings(told)
        if told.suggestion.iterations is not None:
            flat[TRAINING_ITERATION] = told.suggestion.iterations
        return nest(flat)

    def settings(self, trial: Told) -> Params:
        """A trial's configuration by flat name, but for its seed and its length."""
        return self.space.flat_config(trial.suggestion.values) | trial.suggestion.constants

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note a report of a trial that goes on."""
        if (value := self._value(result)) is not None:
            self.play({"event": "report", "trial": trial_id, "iteration": _iteration(result), "value": value})

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Note how a trial ended."""
        value = None if error or not result else self._value(result)
        if value is not None and result is not None:
            self.play({"event": "report", "trial": trial_id, "iteration": _iteration(result), "value": value})
        # Ray Tune has no last report for a trial that it stops while it waits; those before it are true all the same.
        told = self.told.get(trial_id)
        put_aside = result is None and not error and told is not None and bool(told.reports)
        self.play({"event": "end", "trial": trial_id, "failed": value is None and not put_aside})

    def on_pause(self, trial_id: str) -> None:
        """Nothing: `HyperBandForBOHB` says so of trials that wait."""

    def on_unpause(self, trial_id: str) -> None:
        """Nothing: `HyperBandForBOHB` says so of trials that go on."""

    def standings(self, among: Callable[[Told], bool] = lambda told: True) -> list[Standing]:
        """Configurations by the mean over their trials that ran the full length, best first, earlier first of equals.

        Args:
            among: which trials count.
        """
        groups: dict[str, list[Told]] = {}
        for told in self.told.values():
            if told.state == "COMPLETE" and among(told):
                groups.setdefault(told.configuration, []).append(told)
        found = [
            Standing(configuration, group[0].suggestion, tuple(t.value for t in group if t.value is not None))
            for configuration, group in groups.items()
        ]
        return sorted(found, key=lambda standing: self.loss(standing.mean))

    def save(self, checkpoint_path: str) -> None:
        """Write all that was told, as JSON, whole or not at all; the file before it stays beside it."""
        state = {"seed": self.seed, "events": self._events}
        unfinished = Path(f"{checkpoint_path}.part")
        unfinished.write_text(json.dumps(state))
        if os.path.exists(checkpoint_path):
            os.replace(checkpoint_path, _previous(checkpoint_path))
        os.replace(unfinished, checkpoint_path)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """What Ray Tune calls now and then; like `save`, it keeps the file before."""
        self.save(str(Path(checkpoint_dir, self.CKPT_FILE_TMPL.format(session_str))))

    def restore(self, checkpoint_path: str) -> None:
        """Take up what another method of the same settings was told.

        Raises:
            SearchError: neither the file nor the one before it can be read.
        """
        state = _read_state(checkpoint_path)
        self.seed = state["seed"]
        self.replay(state["events"])

    def replay(self, events: Iterable[Event]) -> None:
        """Take up events from the first on, in place of whatever was told so far.

        Args:
            events: {"event": "suggest", "trial", "suggestion"}, {"event": "report", "trial", "iteration", "value"} and
                {"event": "end", "trial", "failed"}, in their order.
        """
        _ = self.space
        self.told, self.running, self._events, self._longest = {}, {}, [], 0
        self.on_space()
        for event in events:
            self.play(event)

    def play(self, event: Event) -> None:
        """Take up one event, as `replay` does with many."""
        trial_id = event["trial"]
        if event["event"] == "suggest":
            known = {f.name for f in fields(Suggestion)}
            suggestion = Suggestion(**{k: v for k, v in event["suggestion"].items() if k in known})
            told = self.told[trial_id] = self.running[trial_id] = Told(trial_id, len(self.told), suggestion)
            self._events.append(event)
            self.on_suggestion(told)
            return
        # A trial of somebody else's, or one that has ended already: Ray Tune may say so twice.
        if trial_id not in self.running:
            return
        told = self.running[trial_id]
        self._events.append(event)
        if event["event"] == "report":
            told.reports[int(event["iteration"])] = float(event["value"])
            self._longest = max(self._longest, int(event["iteration"]))
        else:
            del self.running[trial_id]
            self._judge(told, failed=event["failed"])
            self.on_end(told)

    def _judge(self, told: Told, *, failed: bool) -> None:
        if failed or not told.reports:
            told.state = "FAIL"
            return
        best = min if self.minimize else max
        told.value = best(told.reports.values()) if self.score == "best" else told.reports[max(told.reports)]
        full = told.suggestion.iterations or self.iterations or self._longest
        told.state = "COMPLETE" if max(told.reports) >= full else "PRUNED"

    def _value(self, result: Mapping[str, Any]) -> float | None:
        value = result.get(self._metric)
        return float(value) if is_finite_number(value) else None


def derived_seed(seed: int, *path: int) -> int:
    """A seed for one purpose of one trial, independent of the others (numpy's SeedSequence), below 2**31."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0] >> 1)


def is_finite_number(value: Any) -> TypeGuard[float]:
    """Whether a reported value can be compared: a real, finite number and not a truth value."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _iteration(result: Mapping[str, Any]) -> int:
    return int(result[TRAINING_ITERATION])


def _previous(path: str) -> Path:
    return Path(f"{path}.previous")


def _read_state(path: str) -> Params:
    faults: list[str] = []
    for candidate in (Path(path), _previous(path)):
        try:
            state = json.loads(candidate.read_text())
            if faults:
                _log.warning(
                    "The state of the searcher in %s; going on from the one before it, %s.", faults[0], candidate
                )
            return {"seed": state["seed"], "events": state["events"]}
        except (OSError, ValueError, KeyError, TypeError) as fault:
            faults.append(f"{candidate} cannot be read: {fault}")
    raise SearchError(f"Expected the state of a searcher: {'; '.join(faults)}. Start anew, or restore the file.")
