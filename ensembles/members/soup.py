"""Averages of weights: one network out of several of one architecture, at the cost of one. Only what predicts is
averaged, as `TorchPredictor.module` shows it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ensembles.capabilities import TorchPredictor
from ensembles.combining.gram import Floats, check_weights
from ensembles.combining.weights import uniform
from ensembles.members.networks import as_tensor, layers_in_use, signature
from ensembles.predictor import Array

Score = Callable[[TorchPredictor], npt.NDArray[Any]]  # a predictor -> (N,), higher is better, always the same examples
Finish = Callable[[TorchPredictor], TorchPredictor]  # what is done to an average before it is used or scored


class SoupError(ValueError):
    """Networks that cannot be averaged; says in what they differ, and which they are. See `group_by_weights`."""


@dataclass(frozen=True, eq=False)
class Soup:
    """An average of weights: what predicts with it, and the share (k,) of each member in it."""

    predictor: TorchPredictor
    shares: Floats

    @property
    def ingredients(self) -> list[int]:
        """The positions of the members in it."""
        return [int(member) for member in np.flatnonzero(self.shares)]


def average(
    state_dicts: Sequence[Mapping[str, Tensor]], shares: Sequence[float] | npt.NDArray[Any]
) -> dict[str, Tensor]:
    """The weighted mean of each tensor, summed in float64, in the type and place that it has in the first.

    Integers are not averaged: of counters (one integer, as the batches that a BatchNorm has seen) the largest is taken,
    all others must be the same everywhere.

    Raises:
        SoupError: names, shapes or types differ; the first tensor that does is named.
        ValueError: shares (k,) are negative or do not sum to one.
    """
    weights = check_weights(shares, len(state_dicts))
    if not len(weights) or weights.min() < 0:
        raise ValueError(f"Expected shares of zero or more for at least one member, got {weights.tolist()}.")
    check_alike(state_dicts)
    weights = weights / weights.sum()
    used = [(state, float(weight)) for state, weight in zip(state_dicts, weights, strict=True) if weight > 0]
    return {name: _mean(name, [state[name] for state, _ in used], [w for _, w in used]) for name in state_dicts[0]}


def group_by_weights(members: Sequence[TorchPredictor]) -> list[list[int]]:
    """The positions of members whose weights can be averaged with each other, in the order of their first members."""
    groups: dict[Hashable, list[int]] = {}
    for position, member in enumerate(members):
        tensors = {name: signature(tensor) for name, tensor in member.module.state_dict().items()}
        groups.setdefault((frozenset(tensors.items()), layers_in_use(member.module)), []).append(position)
    return list(groups.values())


def check_alike(state_dicts: Sequence[Mapping[str, Tensor]]) -> None:
    """Raise `SoupError` for the first tensor that is not in all of them with the same shape and type."""
    first = state_dicts[0]
    for member, other in enumerate(state_dicts[1:], start=1):
        for name in (*first, *(name for name in other if name not in first)):
            ours, theirs = (signature(state[name]) if name in state else "none" for state in (first, other))
            if ours != theirs:
                raise SoupError(
                    f"Expected networks of one architecture, got {name} as {ours} in member 0 and as {theirs} in "
                    f"member {member}; average only members that share one."
                )


def uniform_soup(members: Sequence[TorchPredictor], finish: Finish | None = None) -> Soup:
    """The plain average of all members' weights.

    Wortsman et al., Model soups, ICML 2022. It suits members that were fine-tuned from common weights; networks trained
    from scratch lie too far apart, and their average is as a rule worse than any of them.

    `finish` is applied to an average of two or more, such as `with_fresh_statistics` over training inputs. Buffers that
    are not stored with a network are those of the first member. Raises `SoupError` where architectures differ.
    """
    return _Kitchen(members, finish).soup(range(len(members)))


def swa(snapshots: Sequence[TorchPredictor], finish: Finish | None = None) -> Soup:
    """The plain average of snapshots along one training.

    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018. They mean snapshots
    from when the loss has settled, under a constant or cyclical learning rate; running statistics of normalisation have
    to be taken anew, for which see `finish` and `with_fresh_statistics`. Raises `SoupError` where architectures differ.
    """
    return uniform_soup(snapshots, finish)


def greedy_soup(members: Sequence[TorchPredictor], score: Score, finish: Finish | None = None) -> Soup:
    """Members in the order of their scores, each kept in the average if that does not make it worse.

    Wortsman et al., ICML 2022, recipe 1. By the mean of `score`, so the result is never worse than the best member on
    the examples scored. An average is scored as `finish` leaves it; a member alone is left as it is.

    Raises:
        SoupError: architectures differ.
        ValueError: there is no member, or `score` gives other than N numbers for each, finite for one member at least.
    """
    kitchen = _Kitchen(members, finish, score)
    return kitchen.soup(kitchen.greedy(slice(None)))


def cross_fitted_greedy(
    members: Sequence[TorchPredictor], score: Score, fold: npt.NDArray[np.intp], finish: Finish | None = None
) -> Floats:
    """The score of each example (N,) under the greedy soup that was chosen without its fold.

    `fold` (N,) numbers each example's from 0. No average is scored twice. Raises as `greedy_soup` does.
    """
    kitchen = _Kitchen(members, finish, score)
    if fold.max(initial=0) < 1:
        raise ValueError("Expected at least two folds, to choose on one and score another.")
    if kitchen.scores([0]).shape != fold.shape:
        raise ValueError(f"Expected a fold for each of {len(kitchen.scores([0]))} examples, got shape {fold.shape}.")
    honest = np.empty(len(fold))
    for number in range(int(fold.max()) + 1):
        inside = fold == number
        honest[inside] = kitchen.scores(kitchen.greedy(~inside))[inside]
    return honest


class _Kitchen:
    """Averages of some of the members, and their scores, none taken twice."""

    def __init__(self, members: Sequence[TorchPredictor], finish: Finish | None, score: Score | None = None) -> None:
        if not members:
            raise ValueError("Expected at least one member, got none.")
        self._members, self._finish, self._score = members, finish, score
        self._states = [member.module.state_dict() for member in members]
        check_alike(self._states)
        _check_layers([member.module for member in members])
        self._scores: dict[tuple[int, ...], Floats] = {}

    def soup(self, ingredients: Sequence[int]) -> Soup:
        chosen = sorted(ingredients)
        shares = np.zeros(len(self._members))
        shares[chosen] = 1 / len(chosen)
        if len(chosen) == 1:
            return Soup(self._members[chosen[0]], shares)
        first = self._members[chosen[0]]
        module = copy.deepcopy(first.module)
        module.load_state_dict(average([self._states[member] for member in chosen], uniform(len(chosen))))
        mixed = first.with_module(module.eval())
        return Soup(self._finish(mixed) if self._finish else mixed, shares)

    def scores(self, ingredients: Sequence[int]) -> Floats:
        if self._score is None:
            raise ValueError("Expected a score to choose by, got none.")
        key = tuple(sorted(ingredients))
        if key not in self._scores:
            found = np.asarray(self._score(self.soup(key).predictor), dtype=np.float64)
            expected = next(iter(self._scores.values()), found).shape
            if found.ndim != 1 or not found.size or found.shape != expected:
                raise ValueError(f"Expected a score for each of the same N >= 1 examples, got {found.shape}.")
            self._scores[key] = found
        return self._scores[key]

    def greedy(self, rows: slice | npt.NDArray[np.bool_]) -> list[int]:
        def value(ingredients: Sequence[int]) -> float:
            mean = float(self.scores(ingredients)[rows].mean())
            return mean if np.isfinite(mean) else -np.inf

        alone = [value([member]) for member in range(len(self._members))]
        order = np.argsort(-np.array(alone), kind="stable")
        kept, best = [int(order[0])], alone[order[0]]
        if best == -np.inf:
            raise ValueError("Expected at least one member with finite scores, got none.")
        for member in order[1:]:
            mixed = value([*kept, int(member)])
            if mixed >= best:
                kept, best = [*kept, int(member)], mixed
        return kept


@torch.no_grad()
def with_fresh_statistics(predictor: TorchPredictor, inputs: Iterable[Array]) -> TorchPredictor:
    """The same weights with the running statistics of normalisation layers taken anew, in one pass over the inputs.

    An average of weights moves the features on which those statistics were gathered. As in PyTorch's
    `torch.optim.swa_utils.update_bn` the mean over all batches (B, ...) is taken, each counting alike, but with nothing
    else in train mode: dropout stays off. Give training inputs in large batches; those of a single example are left
    out, for they tell no variance. The original stays as it is, and one without such layers is given back as it is.
    Layers are known by PyTorch's classes for batch and instance normalisation.

    Raises:
        ValueError: there is no batch of two examples or more.
    """
    module = copy.deepcopy(predictor.module)
    layers = [each for each in module.modules() if isinstance(each, _NormBase) and each.track_running_stats]
    if not layers:
        return predictor
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
        layer.momentum = None  # for BatchNorm: the mean over all batches
    batches = 0
    for batch in inputs:
        if len(batch) < 2:
            continue
        batches += 1
        for layer in layers:
            if not isinstance(layer, _BatchNorm):  # InstanceNorm knows no such mean and takes None for never
                layer.momentum = 1 / batches
        module(as_tensor(module, batch))
    if not batches:
        raise ValueError("Expected at least one batch of two or more inputs to take statistics from, got none.")
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return predictor.with_module(module.eval())


def _mean(name: str, tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    first = tensors[0].detach()
    if not first.is_floating_point():
        same = [tensor.detach().to(first.device) for tensor in tensors]
        if first.numel() == 1 and first.dtype != torch.bool:
            return torch.stack(same).amax(dim=0)
        if all(torch.equal(first, other) for other in same):
            return first.clone()
        raise SoupError(f"Expected the same {signature(first)} {name} in all members, got others; it has no mean.")
    total = first.double() * weights[0]  # not from zero, which would take the sign off -0.0
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total += tensor.detach().to(first.device).double() * weight
    return total.to(first.dtype)


def _check_layers(modules: Sequence[nn.Module]) -> None:
    first = dict(layers_in_use(modules[0]))
    for member, module in enumerate(modules[1:], start=1):
        other = dict(layers_in_use(module))
        for path in (*first, *(path for path in other if path not in first)):
            if first.get(path) != other.get(path):
                raise SoupError(
                    f"Expected networks of one architecture, got {path or 'the network'} as {first.get(path)} in "
                    f"member 0 and as {other.get(path)} in member {member}; average only members that share one."
                )
