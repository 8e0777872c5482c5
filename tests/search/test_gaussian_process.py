"""The Gaussian process over configurations and budgets, and the sampler on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.optimize import approx_fprime
from scipy.stats import norm

from search.models.cube import Cube
from search.models.gaussian_process import Data, GaussianProcess, negative_log_posterior
from search.models.gp_sampler import log_expected_improvement, standardized

CUBE = Cube(
    {
        "lr": FloatDistribution(1e-5, 1e-1, log=True),
        "width": IntDistribution(4, 64, step=4),
        "depth": IntDistribution(1, 100, log=True),
        "drop": FloatDistribution(0, 0.5, step=0.1),
        "norm": CategoricalDistribution(("batch", None, "group")),
    }
)


def data(n: int = 12, spread: float = 0.0) -> Data:
    rng = np.random.default_rng(0)
    x = rng.random((n, 2))
    y = np.sin(3 * x[:, 0]) + 0.1 * x[:, 1]
    return Data(x, np.arange(2), (y - y.mean()) / y.std(), np.full(n, spread))


def test_the_gradient_of_the_posterior_is_its_gradient() -> None:
    rng = np.random.default_rng(1)
    x, y, s = rng.random((9, 3)), rng.normal(size=9), rng.random(9)
    squares = np.stack([(x[:, [k]] - x[:, k]) ** 2 for k in range(3)])
    prior = np.tile([0.3, 1.5], (7, 1))
    at = rng.normal(size=7)
    numeric = approx_fprime(at, lambda v: negative_log_posterior(v, squares, y, s, prior)[0])
    assert negative_log_posterior(at, squares, y, s, prior)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_full_trials_are_believed_and_stopped_ones_are_doubted() -> None:
    fitted = GaussianProcess.fit(data())
    mean, variance = fitted.predict(data().features)
    assert mean == pytest.approx(data().losses, abs=0.15)
    doubted = GaussianProcess(data(spread=3.0), fitted.log_hyper)
    assert (doubted.predict(data().features)[1] > 2 * variance).all()


def test_what_the_configuration_does_not_explain_of_a_stopped_trial_is_doubted_too() -> None:
    log_hyper = np.array([1.0, 1.0, 0.0, -20.0, 0.0, -8.0])
    sure, unsure = (GaussianProcess(data(spread=s), log_hyper).predict(data().features)[1] for s in (0.0, 3.0))
    assert (unsure > 10 * sure).all()


def test_a_believed_trial_leaves_the_expectation_and_takes_the_doubt() -> None:
    fitted = GaussianProcess.fit(data())
    place = np.array([[1.5, 1.5]])
    (mean,), (variance,) = fitted.predict(place)
    believing = fitted.believing(place)
    assert believing.predict(place)[0][0] == pytest.approx(mean, abs=0.05)
    assert believing.predict(place)[1][0] < 0.2 * variance
    assert believing.predict(data().features)[0] == pytest.approx(fitted.predict(data().features)[0], abs=0.05)


def test_a_parameter_that_does_not_matter_is_found_out() -> None:
    weights = GaussianProcess.fit(data(40)).log_hyper[:2]
    assert weights[0] > weights[1] + 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_standardized_losses_keep_their_order(values: list[float]) -> None:
    losses = np.array(values)
    bent, _ = standardized(losses, np.zeros(len(losses)))
    order = np.argsort(losses, kind="stable")
    assert np.isfinite(bent).all()
    assert (np.diff(bent[order]) >= -1e-9).all()


@pytest.mark.parametrize("losses", [[1.0] * 6, [0.0] * 6, [0.0, 0.0, 0.0, 0.0, 1.0, 1e6]])
def test_equal_losses_and_huge_doubts_can_be_fitted(losses: list[float]) -> None:
    y, s = standardized(np.array(losses), np.array([1e9, 0.0, 1.0, 1e9, 1e9, 1e9]))
    fitted = GaussianProcess.fit(Data(np.ones((6, 1)), np.zeros(1, int), y, s))
    assert np.isfinite(fitted.predict(np.ones((1, 1)))[0]).all()


def test_one_diverged_loss_does_not_make_the_others_look_alike() -> None:
    bent, _ = standardized(np.array([1.0, 2.0, 3.0, 4.0, 1e9]), np.zeros(5))
    assert np.ptp(bent[:4]) > 0.05 * np.ptp(bent)


def test_expected_improvement_is_that_of_a_normal_variable_also_where_it_is_tiny() -> None:
    z = np.array([-5.0, -1.0, 0.0, 2.0])
    exact = np.log(norm.pdf(z) + z * norm.cdf(z))
    assert log_expected_improvement(-2 * z, np.full(4, 4.0), 0.0) == pytest.approx(np.log(2) + exact, rel=1e-6)
    tiny = log_expected_improvement(np.array([10.0, 19.9, 20.1, 60.0]), np.ones(4), 0.0)
    assert np.isfinite(tiny).all()
    assert (np.diff(tiny) < 0).all()


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_every_point_of_the_cube_is_a_configuration_and_comes_back(point: list[float]) -> None:
    params = CUBE.params(np.array(point))
    for name, distribution in CUBE.distributions.items():
        assert distribution._contains(distribution.to_internal_repr(params[name]))
    assert CUBE.params(CUBE.point(params)) == pytest.approx(params)
    snapped = CUBE.snap(np.array([point]))
    assert CUBE.params(snapped[0]) == pytest.approx(params)
    assert (snapped == CUBE.snap(snapped)).all()


def test_any_two_values_of_a_choice_are_equally_far_apart() -> None:
    points = np.array([CUBE.point({"norm": value}) for value in ("batch", None, "group")])
    features = CUBE.features(points)
    distances = [np.linalg.norm(features[i] - features[j]) for i, j in [(0, 1), (0, 2), (1, 2)]]
    assert distances == pytest.approx([1, 1, 1])
    assert len(CUBE.feature_axes) == features.shape[1] == 7
