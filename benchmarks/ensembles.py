"""Weights from Gram matrices against direct selection over stored pixels and against scikit-learn, in one run.

Ours is one pass over the stored predictions, chunk by chunk from a file that is kept in memory where there is room,
and then every weighting fitted to all images and five times more without a fold. The others get their images as arrays
in memory, and fit once. A direct selection (Caruana et al. 2004: sorted start, 100 picks with replacement) keeps a
running sum and scores each candidate on the pixels; three ways to write it are timed. It and scikit-learn would take
too long on all images: each is timed on two numbers of them, and its row says by which power of them its time grew.
What it would take for all is the larger time in proportion or the line through both, whichever is less. Seconds are
the processor's, on one thread; rounds go over all sides in turn. Needs scikit-learn, and 7 GB of memory for the file,
or of disk.

    python benchmarks/ensembles.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import Row, arguments, finish
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits

sys.path.remove(str(Path(__file__).parent))  # else this file would be found in place of the package of its name

from ensembles.combining.gram import ErrorGram, Floats, blend_error
from ensembles.combining.greedy import greedy
from ensembles.combining.method import Method, fold_of
from ensembles.combining.weighting import BaggedGreedy, Greedy, InverseVariance, Mean, Simplex, SimplexLog

Pixels = npt.NDArray[np.float32]

SHAPE = (3, 64, 64)
VALUES = 3 * 64 * 64
AT_ONCE = 16  # images of a chunk
PICKS = 100
BLOCK = 2**15  # values that a direct selection looks at before it goes on: the quickest of 2**12 to 2**15
METHODS: tuple[Method, ...] = (Mean(), InverseVariance(), Simplex(), SimplexLog(), Greedy(PICKS), BaggedGreedy(PICKS))
FOLDS = 5


@dataclass(frozen=True)
class Stored:
    """Predictions of k members and the truth, in a file: chunks of (k + 1, B, 3, H, W) float32, the truth last."""

    path: Path
    members: int
    images: int

    def chunks(self, images: int) -> Iterator[tuple[Pixels, Pixels]]:
        """Predictions (k, B, 3, H, W) and targets (B, 3, H, W); a chunk is mapped while it is in use."""
        shape = (self.members + 1, AT_ONCE, *SHAPE)
        size = 4 * int(np.prod(shape))
        for number in range(images // AT_ONCE):
            chunk = np.memmap(self.path, np.float32, "r", offset=number * size, shape=shape)
            yield chunk[:-1], chunk[-1]

    def first(self, images: int) -> tuple[Pixels, Pixels]:
        """Predictions (k, n * V) and targets (n * V,) of the first n images, in memory."""
        several = list(self.chunks(images))
        predictions = np.concatenate([chunk.reshape(self.members, -1) for chunk, _ in several], axis=1)
        return predictions, np.concatenate([truth.ravel() for _, truth in several])


def store(wanted: Stored) -> None:
    """Members of different quality that share a part of their errors, on images of different difficulty."""
    generator = np.random.default_rng(0)
    quality = generator.uniform(0.08, 0.16, (wanted.members, 1, 1, 1, 1)).astype(np.float32)
    with wanted.path.open("wb") as file:
        for _ in range(wanted.images // AT_ONCE):
            truth = generator.uniform(-1, 1, (AT_ONCE, *SHAPE)).astype(np.float32)
            hard = np.exp(generator.normal(0, 0.5, (AT_ONCE, 1, 1, 1))).astype(np.float32)
            chunk = generator.standard_normal((wanted.members, *truth.shape), dtype=np.float32)
            shared = generator.standard_normal(truth.shape, dtype=np.float32)
            chunk *= quality * hard
            chunk += truth + np.float32(0.1) * hard * shared
            file.write(chunk.tobytes())
            file.write(truth.tobytes())


@dataclass(frozen=True)
class Gathered:
    """What the methods look at: they never ask for more than the matrices."""

    gram: Floats

    @property
    def members(self) -> int:
        return self.gram.shape[-1]


def gathered(stored: Stored, images: int) -> Floats:
    gram = ErrorGram(stored.members)
    for predictions, targets in stored.chunks(images):
        gram.add(predictions, targets)
    return gram.per_example


def fit_all(gram: Floats) -> None:
    """Every weighting, fitted to all examples and without each of five folds."""
    seen: Any = Gathered(gram)
    fold = fold_of(np.arange(len(gram)), FOLDS)
    for method in METHODS:
        method.fit(seen)
        method.cross_fit(seen, fold)


def direct_selection(
    predictions: Pixels, targets: Pixels, add_up: Callable[[Floats, int], Floats]
) -> npt.NDArray[np.int64]:
    """How often each member is picked, (k,). `add_up` gives the error of a sum of so many with each candidate added."""
    members = len(predictions)
    own = add_up(np.zeros(targets.shape), 1)
    order = np.argsort(own)
    counts = np.zeros(members, dtype=np.int64)
    total = np.zeros(targets.shape)
    starts = []
    for size, member in enumerate(order, start=1):
        total += predictions[member]
        starts.append(float(np.square(total / size - targets).mean()))
    counts[order[: int(np.argmin(starts)) + 1]] = 1
    total = predictions[counts > 0].sum(axis=0, dtype=np.float64)
    best, best_error = counts.copy(), min(starts)
    for picks in range(int(counts.sum()) + 1, PICKS + 1):
        errors = add_up(total, picks)
        member = int(errors.argmin())
        total += predictions[member]
        counts[member] += 1
        if errors[member] < best_error:
            best, best_error = counts.copy(), float(errors[member])
    return best


def in_blocks(predictions: Pixels, targets: Pixels, kind: npt.DTypeLike) -> Callable[[Floats, int], Floats]:
    """Candidates scored in pieces that stay in the cache: a sum and a dot product for each."""

    def add_up(total: Floats, picks: int) -> Floats:
        errors = np.zeros(len(predictions))
        for start in range(0, len(targets), BLOCK):
            part = slice(start, start + BLOCK)
            rest = (total[part] - picks * targets[part]).astype(kind, copy=False)
            for member, values in enumerate(predictions[:, part]):
                error = rest + values
                errors[member] += error @ error
        return errors / (len(targets) * picks**2)

    return add_up


def whole_arrays(predictions: Pixels, targets: Pixels, kind: npt.DTypeLike) -> Callable[[Floats, int], Floats]:
    """Candidates scored as libraries do it, such as auto-sklearn's: the mean with the candidate, then a loss of it."""

    def add_up(total: Floats, picks: int) -> Floats:
        mean = np.empty(targets.shape, kind)
        errors = np.empty(len(predictions))
        for member, values in enumerate(predictions):
            np.add(total, values, out=mean, casting="same_kind")
            np.multiply(mean, 1 / picks, out=mean)
            errors[member] = np.square(targets - mean).mean()
        return errors

    return add_up


def selection(write: Callable[..., Any], kind: npt.DTypeLike) -> Callable[[Pixels, Pixels], Any]:
    return lambda predictions, targets: direct_selection(predictions, targets, write(predictions, targets, kind))


def regression(positive: bool) -> Callable[[Pixels, Pixels], Any]:
    # A row a value, without a copy and in the order of memory that LAPACK wants: the quickest way there.
    return lambda p, y: LinearRegression(positive=positive, fit_intercept=False).fit(p.T, y)


OTHERS: dict[str, Callable[[Pixels, Pixels], Any]] = {
    "direct greedy, float64 in blocks": selection(in_blocks, np.float64),
    "direct greedy, float64 whole arrays": selection(whole_arrays, np.float64),
    "direct greedy, float32 in blocks": selection(in_blocks, np.float32),
    "sklearn LinearRegression": regression(positive=False),
    "sklearn LinearRegression(positive=True)": regression(positive=True),
}


def seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def peak_mib(stored: Stored) -> float:
    """The most memory that a pass and all fits take above what the process had before, and above one chunk."""
    fit_all(gathered(stored, AT_ONCE))  # what is loaded late is no cost of the data
    before = _status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    fit_all(gathered(stored, stored.images))
    chunk = 4 * (stored.members + 1) * AT_ONCE * VALUES / 2**20
    return _status_mib("VmHWM") - before - chunk


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def exponent(sizes: list[int], times: list[float]) -> float:
    """The power of the size that the time grows by: the slope of their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def same_picks(stored: Stored, images: int) -> bool:
    """Whether greedy selection from Gram matrices takes each member as often as a search over the pixels."""
    counts = OTHERS["direct greedy, float64 in blocks"](*stored.first(images))
    weights = greedy(gathered(stored, images).mean(axis=0), PICKS)
    return bool(np.allclose(weights, counts / counts.sum(), atol=1e-12))


def score_error(stored: Stored, images: int) -> float:
    """The largest relative difference between an image's error from its Gram matrix and from its pixels."""
    weights = np.random.default_rng(0).dirichlet(np.ones(stored.members))
    from_gram = blend_error(gathered(stored, images), weights)
    direct = [
        np.square(np.tensordot(weights, p.astype(np.float64), 1) - y).reshape(AT_ONCE, -1).mean(axis=1)
        for p, y in stored.chunks(images)
    ]
    return float(np.abs(from_gram / np.concatenate(direct) - 1).max())


def measure(stored: Stored, sizes: tuple[int, int], rounds: int) -> dict[tuple[str, int], list[float]]:
    """Seconds by side and number of images, a figure a round."""
    few, many = ((size, *stored.first(size)) for size in sizes)
    growing = [stored.images // part for part in (8, 4, 2, 1)]
    times: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        jobs: list[tuple[str, int, Callable[[], Any]]] = []
        for images in growing:
            held: list[Floats] = []
            jobs.append(("pass", images, lambda n=images, to=held: to.append(gathered(stored, n))))
            jobs.append(("all weightings", images, lambda of=held: fit_all(of.pop())))
        for name, fit in OTHERS.items():
            jobs += [(name, n, lambda f=fit, p=p, y=y: f(p, y)) for n, p, y in (few, many)]
        # Every other round the others come first: none always runs after the same one.
        for name, images, job in jobs if number % 2 == 0 else [*jobs[8:], *jobs[:8]]:
            times.setdefault((name, images), []).append(seconds(job))
    return times


def by_members(stored: Stored, rounds: int) -> tuple[list[int], list[float]]:
    """Seconds of a pass for more and more members, made of those that are stored."""
    predictions, targets = next(stored.chunks(AT_ONCE))
    sizes = [8, 16, 32, 64, 128]
    libraries = [np.resize(predictions, (k, *predictions.shape[1:])) for k in sizes]
    times = [[seconds(lambda p=p: ErrorGram(len(p)).add(p, targets)) for p in libraries] for _ in range(4 * rounds)]
    return sizes, np.median(times, axis=0).tolist()


def ratio(theirs: npt.NDArray[np.float64], ours: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Ratio of the medians with a 95 % interval over resampled rounds, whose times stay together."""
    drawn = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    ratios = np.median(theirs[drawn], axis=1) / np.median(ours[drawn], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(np.median(theirs) / np.median(ours)), float(low), float(high)


def compare(times: dict[tuple[str, int], list[float]], images: int, sizes: tuple[int, int]) -> list[Row]:
    fits = np.array(times["all weightings", images])
    ours = fits + np.array(times["pass", images])
    rows: list[Row] = []
    for name, taken in {"huetune: pass": ours - fits, "huetune: all weightings, 5 folds": fits}.items():
        rows.append(row_of(name, float(np.median(taken))))
    for name in OTHERS:
        few, many = (np.array(times[name, size]) for size in sizes)
        small, large = float(np.median(few)), float(np.median(many))
        line = large + (large - small) * (images - sizes[1]) / (sizes[1] - sizes[0])
        whole = many * min(images / sizes[1], line / large)
        to_fits, low, high = ratio(whole, fits)
        rows.append(
            row_of(name, float(np.median(whole)))
            | {"exponent": exponent(list(sizes), [small, large]), "scaled_from": sizes[1]}
            | {"to_fits": to_fits, "low": low, "high": high, "to_pass_and_fits": ratio(whole, ours)[0]}
        )
    return rows


def row_of(side: str, taken: float) -> Row:
    empty = dict.fromkeys(("exponent", "scaled_from", "to_fits", "low", "high", "to_pass_and_fits"))
    return {"side": side, "seconds": taken, **empty}


def least(rows: list[Row], word: str, key: str) -> float:
    """Against the quickest of the others whose name begins with a word."""
    return min(row[key] for row in rows if row["side"].startswith(word))


def run(options: argparse.Namespace, folder: Path) -> tuple[list[Row], Row]:
    images, sizes, rounds = (512, (32, 64), 2) if options.quick else (4000, (96, 192), 4)
    stored = Stored(folder / "predictions", 32, images)
    # In a process of its own: the memory that it frees would hide what a pass takes.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(store, (stored,))
    peak = peak_mib(stored)
    times = measure(stored, sizes, rounds)
    rows = compare(times, images, sizes)
    growing = [images // part for part in (8, 4, 2, 1)]
    medians = {side: [float(np.median(times[side, n])) for n in growing] for side in ("pass", "all weightings")}
    members, taken = by_members(stored, rounds)
    rows += [
        row_of(f"pass, {k} members, {AT_ONCE} images", second) for k, second in zip(members, taken, strict=True)
    ] + [row_of(f"pass, 32 members, {n} images", second) for n, second in zip(growing, medians["pass"], strict=True)]
    summary = {
        # All our fits once the matrices are there, against one fit of the quickest of the others, selection in float64.
        "speedup_vs_direct_greedy": least(rows, "direct greedy, float64", "to_fits"),
        "speedup_vs_sklearn": least(rows, "sklearn", "to_fits"),
        # The same with our pass over the predictions counted in.
        "with_pass_vs_direct_greedy": least(rows, "direct greedy, float64", "to_pass_and_fits"),
        "with_pass_vs_direct_greedy_whole_arrays": least(rows, "direct greedy, float64 whole", "to_pass_and_fits"),
        "with_pass_vs_direct_greedy_float32": least(rows, "direct greedy, float32", "to_pass_and_fits"),
        "with_pass_vs_sklearn": least(rows, "sklearn", "to_pass_and_fits"),
        # And the others fitted once and five times more on four fifths of the images, which is the work of five fits.
        "with_pass_and_folds_vs_direct_greedy": FOLDS * least(rows, "direct greedy, float64", "to_pass_and_fits"),
        "with_pass_and_folds_vs_sklearn": FOLDS * least(rows, "sklearn", "to_pass_and_fits"),
        "peak_mib": peak,
        "pass_exponent_in_images": exponent(growing, medians["pass"]),
        "fits_exponent_in_images": exponent(growing, medians["all weightings"]),
        "pass_exponent_in_members_8_to_32": exponent(members[:3], taken[:3]),
        "pass_exponent_in_members_32_to_128": exponent(members[2:], taken[2:]),
        "score_error": score_error(stored, sizes[1]),
        "same_picks": same_picks(stored, sizes[1]),
        "images": images,
        "members": stored.members,
        "rounds": rounds,
        "scikit_learn": metadata.version("scikit-learn"),
    }
    return rows, summary


def roomy() -> Path | None:
    """Where a file is in memory, and is not read from a disk again when something else wants the page cache."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > 8e9 else None


def main() -> None:
    options = arguments(__doc__)
    with threadpool_limits(1), tempfile.TemporaryDirectory(dir=roomy()) as folder:
        rows, summary = run(options, Path(folder))
    finish(options, rows, summary)


if __name__ == "__main__":
    main()
