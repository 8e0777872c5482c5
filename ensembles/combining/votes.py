"""Votes about colours, pixel by pixel: members of one mind outvote those far off, where a mean would be pale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ensembles.combining.colours import BIN, REACH, SIDE, bins_in_gamut, in_lab, nearest_bins
from ensembles.combining.combiner import Array, Combiner, Predicted
from ensembles.combining.gram import Floats
from ensembles.combining.method import Method, Observed
from ensembles.combining.shares import Shared, Weighting, shares_of, spread_out

_SIGMA = 5.0  # units of ab, as in the paper
_NEIGHBOURS = np.array([-1.0, 0.0, 1.0])  # on each axis; a bin further off would get a hundredth of a vote at most
_SAMPLE = 128  # examples on which the temperature is chosen


@dataclass(frozen=True, eq=False)
class ColourVotes(Shared):
    """The members' colours vote for bins of the ab plane; what their bins get decides how much each colour counts.

    The bins are 10 by 10 units wide, those that sRGB reaches (`colours.bins_in_gamut`). A colour spreads its vote over
    the 3 by 3 bins around it by a Gaussian of 5 units, and the sum is decoded by an annealed mean at the temperature T
    (Zhang, Isola & Efros, Colorful Image Colorization, ECCV 2016).

    Unlike there, bins only vote, and the result is a mean of the members' own colours, so that no grid shows in it:
    with vote u_m of member m (over the bins, of length one, so that it counts alike wherever its colour lies in the
    grid) and the sum v = sum_n w_n u_n, the support of m is u_m'v, from w_m if it is alone to 1 if all agree, and its
    colour counts w_m (u_m'v)^(1/T - 1). At T = 1 that is exactly the weighted mean of ab, near 0 the colour of
    the member with most support. Lightness is the weighted mean throughout.

    Args:
        weights: (k,), none below zero, that sum to one.
        temperature: above 0, at most 1.

    Predictions are colours (B, 3, H, W) in [-1, 1], and so is the result.
    """

    temperature: float
    kind: ClassVar[str] = "colour votes"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.temperature)

    def __call__(self, predicted: Predicted) -> Array:
        values, weights = self.counting(predicted)
        return in_lab(values, lambda lab: _decoded(lab, weights, [self.temperature]))[0]


@dataclass(frozen=True, eq=False)
class ColourMajority(Shared):
    """Each member votes for the one bin nearest to its colour, and the bin with most voters wins.

    The result is the weighted mean ab of its voters, with the weighted mean lightness of all. Of bins with equally many
    voters the one whose voters weigh more wins, then the one that the first member voted for.

    Args:
        weights: (k,), none below zero, that sum to one. Predictions are colours (B, 3, H, W) in [-1, 1].
    """

    kind: ClassVar[str] = "colour majority"

    def __call__(self, predicted: Predicted) -> Array:
        values, weights = self.counting(predicted)
        return in_lab(values, lambda lab: [_elected(lab, weights)])[0]


@dataclass(frozen=True)
class Votes(Method):
    """Votes over quantised colours, decoded at a temperature: `ColourVotes`.

    Args:
        temperature: None for that of `temperatures` with the best gain metric, on at most 128 of the examples seen.
        weights: from the mean error Gram matrix (k, k) to weights (k,); None for all alike.
        temperatures: what is tried, each above 0 and at most 1. Of equals the first is taken.
    """

    temperature: float | None = None
    weights: Weighting | None = None
    temperatures: tuple[float, ...] = (1.0, 0.7, 0.5, 0.38, 0.25)

    def __post_init__(self) -> None:
        if not self.temperatures:
            raise ValueError("Expected at least one temperature to try, got none.")
        for temperature in self.temperatures if self.temperature is None else [self.temperature]:
            check_temperature(temperature)

    def unsuited(self, seen: Observed) -> str | None:
        return no_vote(seen)

    def fit(self, seen: Observed) -> ColourVotes:
        weights = shares_of(seen, self.weights)
        if self.temperature is not None:
            return ColourVotes(weights, self.temperature)
        some = seen.only(spread_out(len(seen.groups), _SAMPLE))
        return ColourVotes(weights, self._best(self._gains(some, weights)))

    def cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> list[Combiner]:
        return self.fit_and_cross_fit(seen, fold)[1]

    def fit_and_cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> tuple[Combiner, list[Combiner]]:
        folds = range(int(fold.max()) + 1)
        if self.weights is not None or self.temperature is not None:
            return self.fit(seen), [self.fit(seen.only(fold != number)) for number in folds]
        weights, chosen = shares_of(seen, None), spread_out(len(seen.groups), _SAMPLE)
        gains, inside = self._gains(seen.only(chosen), weights), fold[chosen]
        best = [self._best(gains), *(self._best(gains[inside != number]) for number in folds)]
        rule, *without = (ColourVotes(weights, temperature) for temperature in best)
        return rule, [*without]

    def _gains(self, seen: Observed, weights: Floats) -> Floats:
        """(N, T): the gain metric of each example at each temperature."""
        measures = seen.measures
        parts = []
        for predicted, targets in seen.stream():
            decoded = in_lab(predicted.values, lambda lab: _decoded(lab, weights, self.temperatures))
            parts.append(np.stack([measures.scores(one, targets)[measures.gain_metric] for one in decoded], axis=1))
        return np.concatenate(parts)

    def _best(self, gains: Floats) -> float:
        if not len(gains):
            raise ValueError(
                "Expected at least one example to choose the temperature on, got none; give a temperature."
            )
        return self.temperatures[int(gains.mean(axis=0).argmax())]


@dataclass(frozen=True)
class Majority(Method):
    """The hard majority of colours: `ColourMajority`. Weights as for `Votes`; they only break ties and blend voters."""

    weights: Weighting | None = None

    def unsuited(self, seen: Observed) -> str | None:
        return no_vote(seen)

    def fit(self, seen: Observed) -> ColourMajority:
        return ColourMajority(shares_of(seen, self.weights))


def check_temperature(temperature: float) -> None:
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not 0 < temperature <= 1:
        raise ValueError(
            f"Expected 0 < temperature <= 1, got {temperature!r}. 1 is the mean; near 0 the winner takes all."
        )


def no_vote(seen: Observed) -> str | None:
    if seen.measures.output != "colours":
        return f"it votes about colours, and these members predict {seen.measures.output}"
    return "there is one member, and nothing to vote about" if seen.members < 2 else None


@cache
def _ballots() -> tuple[npt.NDArray[np.intp], Floats, int]:
    """For each bin (SIDE * SIDE,) its 9 neighbours and itself: their numbers among the bins in gamut, whether they are
    in gamut at all (1 or 0); and how many bins are."""
    inside = bins_in_gamut()
    number = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, 0)
    windows = [(slice(a, a + SIDE), slice(b, b + SIDE)) for a in range(3) for b in range(3)]
    numbers, reached = np.pad(number, 1), np.pad(inside, 1).astype(np.float64)
    return (
        np.stack([numbers[window].ravel() for window in windows], axis=1),
        np.stack([reached[window].ravel() for window in windows], axis=1),
        int(inside.sum()),
    )


def _cast(ab: Floats) -> tuple[npt.NDArray[np.intp], Floats, int]:
    """The votes of colours (k, P, 2): bins (k, P, 9), what each gets (k, P, 9), of length one; how many bins."""
    numbers, reached, bins = _ballots()
    near = nearest_bins(ab)
    bell = np.exp(
        -0.5 * ((ab / BIN + REACH - near)[..., None] - _NEIGHBOURS) ** 2 * (BIN / _SIGMA) ** 2
    )  # (k, P, 2, 3)
    votes = (bell[..., 0, :, None] * bell[..., 1, None, :]).reshape(*ab.shape[:2], 9)
    cell = near[..., 0] * SIDE + near[..., 1]
    votes *= reached[cell]
    votes /= np.sqrt(np.einsum("kpb,kpb->kp", votes, votes))[..., None]
    return numbers[cell], votes, bins


def _decoded(lab: Floats, weights: Floats, temperatures: Sequence[float]) -> list[Floats]:
    """Members' colours (k, P, 3) to one (P, 3) for each temperature."""
    ab = lab[..., 1:]
    where, votes, bins = _cast(ab)
    where = where + (bins * np.arange(ab.shape[1]))[:, None]
    tally = np.bincount(where.ravel(), (votes * weights[:, None, None]).ravel(), minlength=bins * ab.shape[1])
    support = np.einsum("kpb,kpb->kp", votes, tally[where])
    support = support / support.max(axis=0)  # or a high power of it would vanish
    lightness = np.tensordot(weights, lab[..., 0], axes=1)
    results = []
    for temperature in temperatures:
        counts = weights[:, None] * support ** (1 / temperature - 1)  # (k, P)
        mixed = np.einsum("kp,kpc->pc", counts / counts.sum(axis=0), ab)
        results.append(np.concatenate([lightness[:, None], mixed], axis=1))
    return results


def _elected(lab: Floats, weights: Floats) -> Floats:
    """Members' colours (k, P, 3) to one (P, 3)."""
    ab = lab[..., 1:]
    near = nearest_bins(ab)
    cell = near[..., 0] * SIDE + near[..., 1]  # (k, P)
    agree = cell[:, None] == cell[None, :]  # (k, k, P)
    heavier = np.einsum("mnp,n->mp", agree, weights).round(9)  # in [0, 1]: breaks ties and decides nothing else
    winner = (agree.sum(axis=1) + heavier / 2).argmax(axis=0)  # (P,); the first of equals
    voters = weights[:, None] * np.take_along_axis(agree, winner[None, None], axis=0)[0]  # (k, P)
    mixed = np.einsum("kp,kpc->pc", voters / voters.sum(axis=0), ab)
    return np.concatenate([np.tensordot(weights, lab[..., 0], axes=1)[:, None], mixed], axis=1)
