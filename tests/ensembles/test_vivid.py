import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorizer import metrics
from ensembles.combining.colours import to_lab, to_rgb
from ensembles.combining.combiner import Predicted
from ensembles.combining.method import InMemory
from ensembles.combining.vivid import Vivid, VividBlend

B, H, W = 2, 5, 7
SEEDS = st.integers(0, 2**32 - 1)


class Measures:
    output = "colours"
    gain_metric = "psnr"

    def scores(self, predictions, targets):
        scores = metrics.score_images(torch.from_numpy(predictions), torch.from_numpy(targets))
        return {name: values.double().numpy() for name, values in scores.items()}

    def summarize(self, scores):
        return metrics.summarize(scores)


class WithoutDifferences(Measures):
    def scores(self, predictions, targets):
        scores = super().scores(predictions, targets)
        del scores["ciede2000"]
        return scores


class Numbers(Measures):
    output = "values"


def predicted(values):
    return Predicted(np.zeros((len(values[0]), 1, H, W), np.float32), list(values))


def seen(values, targets, measures=None):
    return InMemory(measures or Measures(), predicted(values), targets, at_once=5)


def coloured(generator, examples, chroma):
    """Pictures in Lab of one hue a column, of the chroma given."""
    hue = generator.uniform(0, 2 * np.pi, (examples, 1, W))
    lab = np.stack(np.broadcast_arrays(generator.uniform(45, 70, (examples, H, W)), np.cos(hue), np.sin(hue)), axis=1)
    lab[:, 1:] *= chroma
    return lab


def as_colours(lab):
    return to_rgb(lab).astype(np.float32)


@given(SEEDS, st.integers(1, 4), st.sampled_from([0.0, 15.0]), st.floats(0.3, 1.5))
@settings(deadline=None, max_examples=40)
def test_hue_and_lightness_are_the_means_and_chroma_follows_the_curve(seed, members, half, gain):
    generator = np.random.default_rng(seed)
    values = as_colours(coloured(generator, members * B, 12.0)).reshape(members, B, 3, H, W).astype(np.float64)
    weights = generator.dirichlet(np.ones(members))
    mean = np.tensordot(weights, to_lab(values), axes=1)
    chroma = np.hypot(mean[:, 1], mean[:, 2])[:, None]
    found = to_lab(VividBlend(weights, gain, half)(predicted(values)))
    np.testing.assert_allclose(found[:, 0], mean[:, 0], atol=1e-3)
    factor = gain * chroma**2 / (chroma**2 + half**2) if half else gain
    np.testing.assert_allclose(found[:, 1:], factor * mean[:, 1:], atol=1e-3)


@given(
    SEEDS, st.integers(1, 4), st.sampled_from([0.0, 10.0]), st.floats(0.5, 4), st.sampled_from([np.float32, np.float64])
)
@settings(deadline=None, max_examples=40)
def test_results_are_finite_colours_of_the_members_type_in_any_order_of_members(seed, members, half, gain, kind):
    generator = np.random.default_rng(seed)
    values = generator.uniform(-1.1, 1.1, (members, B, 3, H, W)).astype(kind)
    values[:, 0] = values[:, 0, :1]  # greys, without a hue
    weights, order = generator.dirichlet(np.ones(members)), generator.permutation(members)
    found = VividBlend(weights, gain, half)(predicted(values))
    assert found.dtype == kind
    assert found.shape == (B, 3, H, W)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
    np.testing.assert_allclose(VividBlend(weights[order], gain, half)(predicted(values[order])), found, atol=1e-5)


def test_without_a_stretch_identical_members_give_that_member_back():
    one = np.random.default_rng(0).uniform(-1, 1, (B, 3, H, W)).astype(np.float32)
    found = VividBlend(np.array([0.3, 0.7]), 1.0, 0.0)(predicted([one, one]))
    np.testing.assert_allclose(found, one, atol=1e-5)


def colourfulness(rule, values, targets):
    return metrics.summarize(Measures().scores(rule(predicted(values)), targets))["colourfulness"]


@pytest.mark.parametrize("goal", [0.9, 0.98, 1.05])
@pytest.mark.parametrize("pale", [0.5, 1.1])
def test_the_fitted_blend_is_as_colourful_as_asked_for(goal, pale):
    generator = np.random.default_rng(0)
    truth = coloured(generator, 12, 22.0)
    values = [as_colours(truth * [[[1]], [[pale]], [[pale]]] + generator.normal(0, 1, truth.shape)) for _ in range(3)]
    rule = Vivid(goal).fit(seen(values, as_colours(truth)))
    assert colourfulness(rule, values, as_colours(truth)) == pytest.approx(goal, abs=0.015)


def test_where_all_is_pale_alike_one_factor_is_fitted_for_all():
    generator = np.random.default_rng(0)
    chroma = generator.uniform(4, 30, (12, 1, H, W))
    truth = coloured(generator, 12, chroma)
    rule = Vivid(1.0).fit(seen([as_colours(truth * [[[1]], [[0.6]], [[0.6]]])], as_colours(truth)))
    assert rule.half == 0
    assert rule.gain == pytest.approx(1 / 0.6, rel=0.03)


def test_where_faint_colours_are_errors_they_are_taken_back():
    generator = np.random.default_rng(0)
    strong = generator.uniform(size=(12, 1, H, W)) < 0.3
    truth = coloured(generator, 12, np.where(strong, 40.0, 0.0))
    stained = truth * [[[1]], [[0.7]], [[0.7]]] + np.where(strong, 0, coloured(generator, 12, 6.0)) * [
        [[0]],
        [[1]],
        [[1]],
    ]
    values = [as_colours(stained)]
    targets = as_colours(truth)
    rule = Vivid(0.98).fit(seen(values, targets))
    assert rule.half > 0
    plain = VividBlend(np.ones(1), 1.4, 0.0)
    off = [Measures().scores(one(predicted(values)), targets)["ciede2000"].mean() for one in (rule, plain)]
    assert off[0] < 0.8 * off[1]


def test_where_the_goal_is_out_of_reach_the_strongest_colours_are_taken():
    generator = np.random.default_rng(0)
    truth = as_colours(coloured(generator, 6, 30.0))
    rule = Vivid(1.0).fit(seen([as_colours(coloured(generator, 6, 1.0))], truth))
    assert rule.half == 0
    assert rule.gain == pytest.approx(3.2)


@pytest.mark.parametrize("method", [Vivid(), Vivid(weights=lambda gram: np.array([0.3, 0.7]))])
def test_cross_fitting_gives_each_fold_the_blend_fitted_without_it(method):
    generator = np.random.default_rng(1)
    truth = coloured(generator, 10, generator.uniform(5, 30, (10, 1, 1, 1)))
    pale = np.linspace(0.4, 0.8, 10)[:, None, None, None]  # paler in one fold than in another
    values = [as_colours(truth * np.where(np.arange(3)[:, None, None] > 0, s * pale, 1)) for s in (0.8, 1)]
    data, fold = seen(values, as_colours(truth)), np.arange(10) // 4
    rules = method.cross_fit(data, fold)
    assert len({rule.gain for rule in rules}) > 1
    for number, rule in enumerate(rules):
        assert rule.state() == method.fit(data.only(fold != number)).state()


def test_a_stored_and_a_narrowed_blend_give_the_same_bytes():
    values = np.random.default_rng(0).uniform(-1, 1, (3, B, 3, H, W)).astype(np.float32)
    rule = VividBlend(np.array([0.6, 0, 0.4]), 1.7, 12.5)
    expected = rule(predicted(values))
    np.testing.assert_array_equal(VividBlend.restore(*rule.state())(predicted(values)), expected)
    np.testing.assert_array_equal(rule.narrowed()(predicted(values[rule.used])), expected)
    assert type(Vivid().fit(seen(values, values[0])).state()[0]["gain"]) is float


def test_what_it_is_not_for_is_said():
    values = np.random.default_rng(0).uniform(-1, 1, (2, B, 3, H, W)).astype(np.float32)
    assert Vivid().unsuited(seen(values, values[0])) is None
    assert "predict values" in Vivid().unsuited(seen(values, values[0], Numbers()))
    assert "no ciede2000 is measured" in Vivid().unsuited(seen(values, values[0], WithoutDifferences()))


@pytest.mark.parametrize(("gain", "half"), [(0, 1), (-1, 1), (np.inf, 1), (1, -1), (1, np.nan), ("2", 1), (1, True)])
def test_curves_that_are_none_are_refused(gain, half):
    with pytest.raises(ValueError, match=r"finite gain > 0|finite half >= 0"):
        VividBlend(np.ones(1), gain, half)


@pytest.mark.parametrize("goal", [0, -1, np.inf, np.nan])
def test_goals_that_are_none_are_refused(goal):
    with pytest.raises(ValueError, match="goal > 0"):
        Vivid(goal)
