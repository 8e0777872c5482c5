"""Random problems, from pixels to weights: what the matrices say is what a search over the pixels would have found."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ensembles import BadPredictions, blend_error
from ensembles.combining.combiner import Predicted
from ensembles.combining.method import InMemory
from ensembles.combining.weighting import (
    BaggedGreedy,
    BestSingle,
    Greedy,
    InverseVariance,
    Limited,
    Mean,
    Simplex,
    SimplexLog,
)

METHODS = (BestSingle(), Mean(), InverseVariance(), Simplex(), SimplexLog(), Greedy(), BaggedGreedy())


class Measures:
    output = "dense"
    gain_metric = "mse"


@dataclass(frozen=True)
class Problem:
    predictions: np.ndarray  # (k, N, ...)
    targets: np.ndarray  # (N, ...)

    @property
    def seen(self):
        return InMemory(Measures(), Predicted(self.targets, list(self.predictions)), self.targets)

    def direct(self, weights):
        """(N,), the squared error of the blend, from the pixels."""
        blended = np.tensordot(weights, self.predictions.astype(np.float64), axes=1)
        return np.square(blended - self.targets).reshape(len(self.targets), -1).mean(axis=1)


@st.composite
def problems(draw, fewest=1, most=6):
    """Members of different quality with a shared bias; examples of different difficulty."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    members, examples = draw(st.integers(fewest, most)), draw(st.integers(1, 7))
    shape = draw(st.sampled_from([(), (2,), (3, 5, 7), (3, 17, 31)]))  # the last is more than two chunks
    targets = generator.uniform(-1, 1, (examples, *shape))
    per_member = (members, *(1,) * targets.ndim)
    hard = np.exp(generator.normal(0, 1, (examples, *(1,) * len(shape))))
    errors = generator.uniform(0.05, 0.5, per_member) * generator.normal(size=(members, *targets.shape))
    errors += generator.uniform(0, 0.3) * generator.normal(size=targets.shape)
    predictions = targets + hard * errors
    kind = draw(st.sampled_from([np.float32, np.float64]))
    return Problem(predictions.astype(kind), targets.astype(kind))


@given(problems())
@settings(deadline=None)
def test_the_error_of_every_weighting_is_that_of_its_pixels(problem):
    gram = problem.seen.gram
    for method in METHODS:
        weights = method.fit(problem.seen).weights
        # Where the errors of an example cancel, digits go that neither side has: they are those of its members' errors.
        np.testing.assert_allclose(
            blend_error(gram, weights), problem.direct(weights), rtol=1e-9, atol=1e-13 * gram.max()
        )


@given(problems())
@settings(deadline=None)
def test_fitted_weights_are_never_worse_than_the_best_member_on_the_examples_they_were_fitted_to(problem):
    alone = np.array([problem.direct(weights) for weights in np.eye(len(problem.predictions))])  # (k, N)
    for method in (Simplex(), Greedy(), BaggedGreedy(), Limited(Simplex(), 2), Limited(Greedy(), 3)):
        rule = method.fit(problem.seen)
        weights = np.zeros(len(alone))
        weights[rule.used] = rule.narrowed().weights
        assert problem.direct(weights).mean() <= alone.mean(axis=1).min() * (1 + 1e-9)
    logarithm = np.log(problem.direct(SimplexLog().fit(problem.seen).weights)).mean()
    assert logarithm <= np.log(alone).mean(axis=1).min() + 1e-9


def picked_over_pixels(problem, picks):
    """Ensemble selection as its authors tell it, from the stored predictions: (k,), how often each was picked."""

    def error(counts):
        blended = np.tensordot(counts / counts.sum(), problem.predictions.astype(np.float64), axes=1)
        return np.square(blended - problem.targets).reshape(len(problem.targets), -1).mean(axis=1).mean()

    one = np.eye(len(problem.predictions))
    order = np.argsort([error(member) for member in one])
    starts = [one[order[: size + 1]].sum(axis=0) for size in range(min(picks, len(order)))]
    counts = min(starts, key=error)
    seen = [counts]
    while counts.sum() < picks:
        counts = min((counts + member for member in one), key=error)
        seen.append(counts)
    return min(seen, key=error)


@given(problems(fewest=2), st.integers(1, 15))
@settings(deadline=None, max_examples=50)
def test_greedy_selection_picks_the_members_that_a_search_over_pixels_picks(problem, picks):
    counts = picked_over_pixels(problem, picks)
    np.testing.assert_allclose(Greedy(picks).fit(problem.seen).weights, counts / counts.sum(), atol=1e-12)


@given(problems(fewest=2, most=5), st.sampled_from([1e-3, 1e-2]))
@settings(deadline=None, max_examples=50)
def test_simplex_weights_are_those_of_a_general_solver_on_the_pixels(problem, ridge):
    errors = (problem.predictions.astype(np.float64) - problem.targets).reshape(len(problem.predictions), -1)
    alone = np.square(errors).mean(axis=1)
    scale = alone.min()

    def loss(w):
        return np.square(w @ errors).mean() / scale + ridge * (w @ w)

    def slope(w):
        return 2 * errors @ (w @ errors) / errors.shape[1] / scale + 2 * ridge * w

    found = min(
        (
            minimize(
                loss,
                start,
                jac=slope,
                method="SLSQP",
                bounds=[(0, 1)] * len(errors),
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
                options={"ftol": 1e-16, "maxiter": 1000},
            )
            for start in (np.full(len(errors), 1 / len(errors)), np.eye(len(errors))[alone.argmin()])
        ),
        key=lambda each: each.fun,
    )
    weights = Simplex(ridge).fit(problem.seen).weights
    if np.square(found.x @ errors).mean() > scale:  # the ridge costs more than the blend gains
        np.testing.assert_array_equal(weights, np.eye(len(errors))[alone.argmin()])
    else:
        np.testing.assert_allclose(weights, found.x, atol=1e-6)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_one_member_gets_all_weight(method):
    problem = Problem(np.full((1, 3, 2), 0.5), np.zeros((3, 2)))
    np.testing.assert_array_equal(method.fit(problem.seen).weights, [1])


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_twins_are_worth_what_one_of_them_is(method):
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(5, 3, 4))
    one = targets + generator.normal(size=targets.shape)
    problem = Problem(np.array([one, one]), targets)
    rule = method.fit(problem.seen)
    np.testing.assert_allclose(rule(Predicted(targets, [one, one])), one)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_single_example_is_enough_to_fit(method):
    generator = np.random.default_rng(0)
    problem = Problem(generator.normal(size=(3, 1, 8)), generator.normal(size=(1, 8)))
    weights = method.fit(problem.seen).weights
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS[2:], ids=lambda method: type(method).__name__)
def test_a_member_that_predicts_nan_is_named(method):
    predictions = np.ones((3, 2, 5))
    predictions[1, 0, 3] = np.nan
    with pytest.raises(BadPredictions, match=r"Member 1: expected finite predictions.* in 1 of 10 values"):
        method.fit(Problem(predictions, np.zeros((2, 5))).seen)
