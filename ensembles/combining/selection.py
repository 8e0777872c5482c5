"""Which members to take where not all can be had: the best few for a blend, and an order that values diversity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ensembles.account.evaluate import error_correlation
from ensembles.combining.combiner import Positions
from ensembles.combining.gram import Floats, check_gram
from ensembles.combining.simplex import best_on_simplex

Blend = Literal["simplex", "mean"]
Chosen = tuple[int, ...]  # positions of members, in the order in which they came

_RIDGE = 1e-3  # relative to the best member's error, as in `best_on_simplex`
_TINY = 1e-150
_STARTS = 4
_WORTH = 1e-4  # relative; a change has to lower the error by more than this to be made


def best_few(
    gram: Floats,
    most: int,
    costs: Sequence[float] | npt.NDArray[np.float64] | None = None,
    max_cost: float = np.inf,
    blend: Blend = "simplex",
) -> Positions:
    """The members, at most `most`, whose blend has the lowest squared error that a search finds: positions, ascending.

    Where the limits leave room for all members, all it is. Otherwise a search begins with a single member, adds the one
    that lowers the error of the blend the most, as long as one does; then it exchanges one, or drops one, and goes on.
    The best result from the four best members counts. With costs another search adds by gain per cost first: either
    alone can be far off (Leskovec et al., Cost-effective Outbreak Detection in Networks, KDD 2007). Like any search by
    steps it can miss the best choice of all.

    Args:
        gram: (k, k).
        most: members.
        costs: (k,), of each member, such as milliseconds; none count as free.
        max_cost: for all members together.
        blend: what they are to be good for, weights on the simplex or the plain mean.

    Raises:
        ValueError: not a single member keeps within the budget.
    """
    check_gram(gram)
    if most < 1:
        raise ValueError(f"Expected at least one member to be allowed, got {most}.")
    cost = check_costs(np.zeros(len(gram)) if costs is None else costs, len(gram))
    if cost.min() > max_cost:
        raise ValueError(
            f"Expected a budget that the cheapest member keeps within, got {max_cost:g}; it costs {cost.min():g}. "
            "Raise the budget, or add a member that costs less."
        )
    if len(gram) <= most and cost.sum() <= max_cost:
        return np.arange(len(gram))
    search = _Search(gram, most, cost, max_cost, blend)
    best_first = np.argsort(np.diag(gram), kind="stable")
    starts = [member for member in best_first.tolist() if cost[member] <= max_cost][:_STARTS]
    found = [search.improved((member,)) for member in starts]
    if costs is not None:
        found.append(search.improved(search.by_gain_per_cost()))
    return np.sort(np.array(min(found, key=search.error), dtype=np.intp))


def check_costs(costs: Sequence[float] | npt.NDArray[np.float64], members: int) -> Floats:
    """The costs as float64 (k,), or `ValueError` if there are not k of them, or one is negative or not finite."""
    values = np.asarray(costs, dtype=np.float64)
    if values.shape != (members,):
        raise ValueError(f"Expected one cost for each of {members} members, got shape {values.shape}.")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"Expected finite costs >= 0, got {values.tolist()}.")
    return values


class _Search:
    def __init__(self, gram: Floats, most: int, cost: Floats, max_cost: float, blend: Blend) -> None:
        self._gram, self._most, self._cost, self._blend = gram, most, cost, blend
        self._max_cost = max_cost * (1 + 1e-12)  # sums of costs that add up to the budget are within it

    def error(self, chosen: Chosen) -> float:
        return float(self._errors([chosen])[0])

    def improved(self, chosen: Chosen) -> Chosen:
        """What steps lead to: members added, else exchanged, where the error falls, else dropped where it stays."""
        value = self.error(chosen)
        while step := self._step(chosen, value):
            chosen, value = step
        return chosen

    def _step(self, chosen: Chosen, value: float) -> tuple[Chosen, float] | None:
        others = self._others(chosen)
        without = [tuple(member for member in chosen if member != out) for out in chosen]
        more = [(*chosen, member) for member in others]
        exchanged = [(*rest, member) for rest in without for member in others]
        fewer = without if len(chosen) > 1 else []
        # Dropping may cost half of what adding has to bring, so that the two never go round in circles.
        for choices, worth in ((more, _WORTH), (exchanged, _WORTH), (fewer, -_WORTH / 2)):
            allowed = [choice for choice in choices if self._allowed(choice)]
            if allowed:
                below = value * (1 - worth)
                errors = self._errors(allowed, below)
                if errors.min() < below:
                    return allowed[int(errors.argmin())], float(errors.min())
        return None

    def by_gain_per_cost(self) -> Chosen:
        """Members added by what they bring in 1 / error, which is zero for none and adds up for unlike ones."""
        chosen: Chosen = ()
        worth = 0.0
        while others := [member for member in self._others(chosen) if self._allowed((*chosen, member))]:
            reached = 1 / np.maximum(self._errors([(*chosen, member) for member in others]), _TINY)
            pick = int(((reached - worth) / np.maximum(self._cost[others], _TINY)).argmax())
            if not reached[pick] > worth * (1 + _WORTH):
                break
            chosen, worth = (*chosen, others[pick]), float(reached[pick])
        return chosen

    def _others(self, chosen: Chosen) -> list[int]:
        return [member for member in range(len(self._gram)) if member not in chosen]

    def _allowed(self, chosen: Chosen) -> bool:
        return len(chosen) <= self._most and float(self._cost[list(chosen)].sum()) <= self._max_cost

    def _errors(self, choices: Sequence[Chosen], below: float = np.inf) -> Floats:
        """The error of the blend of each choice, all of m members: (c,). Infinity will do for what is not `below`."""
        members = np.array(choices)  # (c, m)
        grams = self._gram[members[:, :, None], members[:, None, :]]  # (c, m, m)
        if self._blend == "mean":
            return np.asarray(grams.mean(axis=(1, 2)))
        return _simplex_errors(grams, below)


def _simplex_errors(grams: Floats, below: float) -> Floats:
    """The error under `best_on_simplex` weights of each matrix (c, m, m): (c,); infinity where it is not `below`."""
    count, members = grams.shape[:2]
    ridge = _RIDGE * np.diagonal(grams, axis1=1, axis2=2).min(axis=1)  # (c,)
    weights = np.full((count, members), -1.0)
    bound = np.zeros(count)
    usual = np.flatnonzero(ridge > 0)  # a perfect member makes the others' share a matter of taste
    if len(usual):
        matrices = grams[usual] + ridge[usual, None, None] * np.eye(members)
        solved = np.linalg.solve(matrices, np.ones((len(usual), members, 1)))[:, :, 0]
        weights[usual] = solved / solved.sum(axis=1, keepdims=True)
        bound[usual] = 1 / solved.sum(axis=1) - ridge[usual]
    # The best weights of any sign bound the error from below; where all are positive, they are the best on the simplex.
    inside = weights.min(axis=1) > 0
    result = np.full(count, np.inf)
    for row in np.flatnonzero(~inside & (bound < below)):
        weights[row] = best_on_simplex(grams[row], _RIDGE)
        inside[row] = True
    w = weights[inside]
    result[inside] = np.einsum("ci,cij,cj->c", w, grams[inside], w)
    return result


def diverse_order(gram: Floats, scores: npt.NDArray[np.float64] | Sequence[float], diverse: float) -> Positions:
    """The members in the order in which to take them, (k,): the first m are the choice of m.

    First the one with the best score; then, each time, the one with the highest score - diverse * c, where c is its
    highest correlation of errors with those already taken: maximal marginal relevance (Carbonell & Goldstein, SIGIR
    1998). Scores and correlations are stretched to [0, 1] over all members, so that neither counts by its scale.

    Args:
        gram: (k, k).
        scores: (k,), finite, higher is better.
        diverse: 0: in order of the scores alone, the earlier first of two equal ones. 1: correlation counts as much.
    """
    check_gram(gram)
    worth = np.asarray(scores, dtype=np.float64)
    if worth.shape != (len(gram),) or not np.isfinite(worth).all():
        raise ValueError(f"Expected a finite score for each of {len(gram)} members, got {worth.tolist()}.")
    if not 0 <= diverse <= 1:
        raise ValueError(f"Expected 0 <= diverse <= 1, got {diverse}.")
    apart = ~np.eye(len(gram), dtype=np.bool_)
    alike = np.zeros_like(gram)
    alike[apart] = _stretched(error_correlation(gram)[apart])
    worth = _stretched(worth)
    order = [int(worth.argmax())]
    while len(order) < len(gram):
        value = worth - diverse * alike[:, order].max(axis=1)
        value[order] = -np.inf
        order.append(int(value.argmax()))
    return np.array(order, dtype=np.intp)


def _stretched(values: Floats) -> Floats:
    if not len(values) or values.max() <= values.min():
        return np.zeros_like(values)
    return np.asarray((values - values.min()) / (values.max() - values.min()))
