"""Where a model errs: its score on every drawing of a split, and what the drawings with large errors share.

Nothing here is drawn or written; `page.py` shows it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from colorizer.dataset import Drawings
from colorizer.images import DARK
from colorizer.inference import Batch
from colorizer.metrics import PSNR_CAP

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

# What a drawing may be like, and how it is said of those with much of it and of those with little.
_TRAITS = {
    "line density": ("The denser the lines", "The sparser the lines"),
    "painted share": ("The more of the square is painted", "The less of the square is painted"),
    "darkness": ("The darker the true colours", "The lighter the true colours"),
    "colourfulness": ("The more colourful the truth", "The paler the truth"),
    "size": ("The larger the original", "The smaller the original"),
    "elongation": ("The longer and narrower the original", "The nearer the original is to a square"),
}
_PAPER = 250  # of 255: what is lighter in all three channels is not painted
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_FEWEST_GROUPS = 8  # with a label, and without it: fewer say nothing of spread
_MOST_LABELS = 20
_LEAST_ERROR = 4 / 10 ** (PSNR_CAP / 10)  # what is smaller cannot be seen
_REPEATS = 10_000
_DRAWS_AT_ONCE = 2**20  # counts of drawn groups, 8 MiB
_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Account:
    """Every drawing of a split: how a model scores on it, and what it is like.

    Attributes:
        names: of the N drawings, in the order of the dataset.
        groups: (N,) int64; drawings of one group have identical line art or look alike.
        labels: of each, "" where there is none; [] where nobody gave any.
        scores: name -> (N,), see `metrics.score_images`.
        traits: name -> (N,): line density, the share of dark pixels; painted share, that of pixels that are not white;
            darkness, one minus the mean luminance, in [0, 1]; colourfulness of the truth; and where they are known
            size, the longer side of the original in pixels, and elongation, that over the shorter one.
    """

    names: list[str]
    groups: NDArray[np.int64]
    labels: list[str]
    scores: Mapping[str, Numbers]
    traits: Mapping[str, Numbers]


@dataclass(frozen=True)
class Finding:
    """What errors have to do with a trait, or with a label.

    Attributes:
        about: the name of the trait, or the label.
        is_label: which of the two.
        value: Spearman's rank correlation of the squared error with the trait, in [-1, 1]; or the typical squared error
            of drawings with the label over that of the others, both geometric means: a few of the worst do not decide
            alone, and 10 log10 of it is what the mean PSNR is lower by.
        low, high: ends of its interval.
        count: drawings that it is about.
    """

    about: str
    is_label: bool
    value: float
    low: float
    high: float
    count: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        none = 1.0 if self.is_label else 0.0
        return self.low > none or self.high < none

    @property
    def strength(self) -> float:
        """How far from no difference it is, for the order of several: 0 is none."""
        return abs(math.log(self.value)) if self.is_label else abs(self.value)

    @property
    def said(self) -> str:
        """One that is sure, in a sentence."""
        if self.is_label:
            times, between = f"{self.value:.2g}", f"[{self.low:.2g}, {self.high:.2g}]"
            return (
                f"Drawings of label {self.about} have {times} times the typical squared error of the others {between},"
                f" n={self.count}."
            )
        low, high = sorted((abs(self.low), abs(self.high)))
        more, less = _TRAITS[self.about]
        phrase, value = less if self.value < 0 else more, abs(self.value)
        return (
            f"{phrase}, the larger the squared error: rank correlation {value:.2f} [{low:.2f}, {high:.2f}],"
            f" n={self.count}."
        )


def account(
    predict: Callable[[Floats], Floats],
    batches: Iterable[Batch],
    scores: Callable[[Floats, Floats], Mapping[str, Numbers]],
    drawings: Drawings,
) -> Account:
    """Look at every drawing of a split, a batch at a time.

    Args:
        predict: lines (B, 1, S, S) to colours (B, 3, S, S), in [-1, 1].
        batches: the split.
        scores: of predictions against the truth, (B,) each, with "mse" and "colourfulness_true".
        drawings: the same split, in the same order.

    Raises:
        ValueError: the split holds no drawing.
    """
    parts = [scores(predict(batch.inputs), batch.targets) for batch in batches]
    if not parts:
        raise ValueError("Expected 1 drawing or more to look at, got 0. Name another split or dataset.")
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    traits = {name: np.concatenate(each) for name, each in _pixel_traits(drawings).items()}
    traits["colourfulness"] = found["colourfulness_true"]
    if drawings.sides is not None:
        longer, shorter = (each(drawings.sides, axis=1).astype(np.float64) for each in (np.max, np.min))
        known = shorter > 0
        traits["size"] = np.where(known, longer, np.nan)
        traits["elongation"] = np.where(known, longer / np.maximum(shorter, 1), np.nan)
    return Account(drawings.names, np.asarray(drawings.groups), drawings.labels, found, traits)


def findings(seen: Account, seed: int = 0) -> list[Finding]:
    """What the squared error has to do with each trait and each label: what is sure first, then by strength.

    Intervals are percentile bootstraps over whole groups (Efron and Tibshirani 1993, ch. 13; ranks are those of all
    drawings). As several things are looked at, their level is raised so that all intervals together hold at 95 %
    (Bonferroni): one thing in twenty would look like a finding otherwise. Traits that do not vary, and labels with
    fewer than 8 groups, are not looked at; of labels, the 20 most frequent.
    """
    _, group = np.unique(seen.groups, return_inverse=True)
    looks = [*_looks_at_traits(seen, group), *_looks_at_labels(seen, group)]
    if not looks:
        return []
    level = 1 - (1 - _LEVEL) / len(looks)
    by_group = [np.stack([np.bincount(group, column) for column in look.sums.T], axis=1) for look in looks]  # (G, K)
    ends = np.cumsum([0, *(part.shape[1] for part in by_group)])
    repeated = _resampled(np.concatenate(by_group, axis=1), np.random.default_rng(seed))  # (R, all K)
    found = []
    for look, start, end in zip(looks, ends[:-1], ends[1:], strict=True):
        value = look.statistic(look.sums.sum(axis=0, keepdims=True))
        low, high = np.nanquantile(look.statistic(repeated[:, start:end]), [(1 - level) / 2, (1 + level) / 2])
        found.append(Finding(look.about, look.is_label, float(value[0]), float(low), float(high), look.count))
    return sorted(found, key=lambda one: (not one.sure, -one.strength))


def chosen(error: Numbers, worst: int = 24, best: int = 8, typical: int = 8) -> dict[str, NDArray[np.intp]]:
    """Positions of drawings to look at: "worst" first, "best" first, and "typical" around the median.

    None is in two of them; where there are few, the worst come before the best, and these before typical ones.
    """
    order = np.argsort(error, kind="stable")
    high = order[::-1][: min(worst, -(-len(order) // 2))]
    rest = order[: len(order) - len(high)]
    low, rest = rest[:best], rest[best:]
    middle = np.argsort(np.abs(error[rest] - np.median(error)), kind="stable")[:typical]
    return {"worst": high, "best": low, "typical": rest[np.sort(middle)]}


def _pixel_traits(drawings: Drawings, at_once: int = 64) -> dict[str, list[Numbers]]:
    found: dict[str, list[Numbers]] = {"line density": [], "painted share": [], "darkness": []}
    for start in range(0, len(drawings), at_once):
        some = slice(start, start + at_once)
        lines, colors = drawings.lines[some], drawings.colors[some]
        found["line density"].append((lines < DARK).mean(axis=(1, 2, 3)))
        found["painted share"].append((colors < _PAPER).any(axis=1).mean(axis=(1, 2)))
        found["darkness"].append(1 - colors.mean(axis=(2, 3)) @ _LUMA / 255)
    return found


@dataclass(frozen=True, eq=False)
class _Look:
    """A statistic of sums over drawings, so that it can be taken again of any drawings; `sums` (N, K)."""

    about: str
    is_label: bool
    sums: Numbers
    statistic: Callable[[Numbers], Numbers]
    count: int


def _looks_at_traits(seen: Account, group: NDArray[np.intp]) -> Iterator[_Look]:
    error = seen.scores["mse"]
    for name, values in seen.traits.items():
        known = np.isfinite(values)
        if len(np.unique(values[known])) > 1 and len(np.unique(group[known])) >= _FEWEST_GROUPS:
            sums = np.zeros((len(error), 6))
            sums[known] = _correlation_sums(rankdata(values[known]), rankdata(error[known]))
            yield _Look(name, False, sums, _correlation, int(known.sum()))


def _looks_at_labels(seen: Account, group: NDArray[np.intp]) -> Iterator[_Look]:
    labels, error = np.array(seen.labels), np.log(np.maximum(seen.scores["mse"], _LEAST_ERROR))
    for label, _ in Counter(label for label in seen.labels if label).most_common(_MOST_LABELS):
        inside = labels == label
        if min(len(np.unique(group[inside])), len(np.unique(group[~inside]))) >= _FEWEST_GROUPS:
            sums = np.stack([error * inside, inside, error * ~inside, ~inside], axis=1)
            yield _Look(label, True, sums, _ratio, int(inside.sum()))


def _resampled(by_group: Numbers, rng: np.random.Generator) -> Numbers:
    """Sums (R, K) over groups drawn with replacement, of sums of each group (G, K)."""
    many = len(by_group)
    step = max(1, _DRAWS_AT_ONCE // many)
    draws = (min(step, _REPEATS - start) for start in range(0, _REPEATS, step))
    return np.concatenate([rng.multinomial(many, np.full(many, 1 / many), size=size) @ by_group for size in draws])


def _correlation_sums(x: Numbers, y: Numbers) -> Numbers:
    x, y = x - x.mean(), y - y.mean()  # sums of squares of large ranks would lose digits
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def _correlation(sums: Numbers) -> Numbers:
    """Pearson's, (R,), of sums (R, 6) as `_correlation_sums` gives them; NaN where nothing varies."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((xy - x * y / n) / np.sqrt((xx - x * x / n) * (yy - y * y / n)), np.float64)


def _ratio(sums: Numbers) -> Numbers:
    """Of the geometric means of two sides, (R,), of sums of logarithms and counts (R, 4); NaN where one is empty."""
    inside, of_inside, outside, of_outside = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.exp(inside / of_inside - outside / of_outside), np.float64)
