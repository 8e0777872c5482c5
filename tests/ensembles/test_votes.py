import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.combining.colours import BIN, REACH, SIDE, bins_in_gamut, blocks, in_lab, nearest_bins, to_lab, to_rgb
from ensembles.combining.combiner import Predicted
from ensembles.combining.method import InMemory
from ensembles.combining.shares import shares_of, spread_out
from ensembles.combining.votes import ColourMajority, ColourVotes, Majority, Votes

B, H, W = 2, 5, 7
SEEDS = st.integers(0, 2**32 - 1)
TEMPERATURES = st.sampled_from([1.0, 0.5, 0.2, 0.01])


class Colours:
    output = "colours"
    gain_metric = "psnr"

    def scores(self, predictions, targets):
        mse = np.square(predictions - targets, dtype=np.float64).mean(axis=(1, 2, 3))
        return {"mse": mse, "psnr": -10 * np.log10(np.maximum(mse, 1e-6) / 4)}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


class Numbers(Colours):
    output = "values"


def colours(generator, members, examples=B):
    """Predictions that partly agree: members of a shared colour, and some of their own."""
    shared = generator.uniform(-1, 1, (1, examples, 3, H, W))
    own = generator.uniform(-1, 1, (members, examples, 3, H, W))
    return np.where(generator.uniform(size=(members, examples, 1, H, W)) < 0.5, shared, own).astype(np.float32)


def predicted(values):
    return Predicted(np.zeros((len(values[0]), 1, H, W), np.float32), list(values))


def of_lab(*ab, lightness=60.0):
    """One picture for each colour (a, b), filled with it, in float64."""
    lab = np.broadcast_to(np.array([[lightness, *one] for one in ab])[:, None, :, None, None], (len(ab), B, 3, H, W))
    return to_rgb(np.ascontiguousarray(lab))


@given(SEEDS)
@settings(deadline=None, max_examples=40)
def test_lab_and_back_is_the_same_colour(seed):
    rgb = np.random.default_rng(seed).uniform(-1, 1, (B, 3, H, W))
    rgb[0] = np.sign(rgb[0])  # the corners of the gamut
    np.testing.assert_allclose(to_rgb(to_lab(rgb)), rgb, atol=1e-6)


def test_white_black_and_red_have_the_lab_values_of_the_textbook():
    rgb = np.array([[1, -1, 1], [1, -1, -1], [1, -1, -1]], dtype=np.float64).reshape(3, 1, 3)
    np.testing.assert_allclose(to_lab(rgb)[:, 0].T, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]], atol=0.05)


@given(SEEDS)
@settings(deadline=None, max_examples=40)
def test_a_colour_that_cannot_be_shown_keeps_its_lightness_and_hue_and_loses_no_more_chroma_than_it_must(seed):
    generator = np.random.default_rng(seed)
    lab = generator.uniform([[[5]], [[-120]], [[-120]]], [[[95]], [[120]], [[120]]], (3, H, W))
    rgb = to_rgb(lab)
    assert np.abs(rgb).max() <= 1
    shown = to_lab(rgb)
    np.testing.assert_allclose(shown[0], lab[0], atol=0.1)
    chroma, wanted = np.hypot(*shown[1:]), np.hypot(*lab[1:])
    assert (shown[1] * lab[1] + shown[2] * lab[2] >= np.cos(0.02) * chroma * wanted - 0.1 * wanted).all()
    paler = np.abs(chroma - wanted) > 0.1
    assert paler.any()
    assert (np.abs(rgb).max(axis=0)[paler] > 0.96).all()  # at the edge of what can be shown


def test_bins_in_gamut_are_those_that_some_srgb_colour_is_nearest_to():
    inside = bins_in_gamut()
    assert inside.shape == (SIDE, SIDE)
    colours_ = to_lab(np.random.default_rng(0).uniform(-1, 1, (3, 200, 500)))[1:].reshape(2, -1)
    cells = np.rint(colours_ / BIN).astype(int) + REACH
    found = np.zeros_like(inside)
    found[cells[0], cells[1]] = True
    assert not (found & ~inside).any()
    assert 0.9 * inside.sum() < found.sum()
    assert inside[REACH, REACH]
    assert not inside[0].any()


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (2, 3, 50, 7), (1, 3, 1, 1)])
@pytest.mark.parametrize("pixels", [1, 30, 1000])
def test_blocks_cover_every_pixel_once(shape, pixels):
    seen = np.zeros((shape[0], shape[2], shape[3]), dtype=int)
    for examples, rows in blocks(shape, pixels):
        seen[examples, rows] += 1
        assert seen[examples, rows].size <= max(pixels, shape[3])
    assert (seen == 1).all()


def test_large_pictures_are_taken_apart_without_a_seam(monkeypatch):
    values = colours(np.random.default_rng(0), 3)
    whole = ColourVotes(np.full(3, 1 / 3), 0.3)(predicted(values))
    monkeypatch.setattr("ensembles.combining.colours._COLOURS_AT_ONCE", 3 * W)
    parts = []
    in_lab(values, lambda lab: parts.append(lab.shape) or [lab[0]])
    assert len(parts) == B * H
    np.testing.assert_array_equal(ColourVotes(np.full(3, 1 / 3), 0.3)(predicted(values)), whole)


@given(SEEDS, st.integers(1, 5), TEMPERATURES)
@settings(deadline=None, max_examples=40)
def test_identical_members_give_that_member_back(seed, members, temperature):
    generator = np.random.default_rng(seed)
    one = generator.uniform(-1, 1, (B, 3, H, W)).astype(np.float32)
    weights = generator.dirichlet(np.ones(members))
    for rule in (ColourVotes(weights, temperature), ColourMajority(weights)):
        np.testing.assert_allclose(rule(predicted([one] * members)), one, atol=1e-5)


@given(SEEDS, st.integers(2, 6), TEMPERATURES)
@settings(deadline=None, max_examples=40)
def test_the_order_of_members_is_without_effect(seed, members, temperature):
    generator = np.random.default_rng(seed)
    values, weights = colours(generator, members), generator.dirichlet(np.ones(members))
    order = generator.permutation(members)
    for rule, other in (
        (ColourVotes(weights, temperature), ColourVotes(weights[order], temperature)),
        (ColourMajority(weights), ColourMajority(weights[order])),
    ):
        np.testing.assert_allclose(other(predicted(values[order])), rule(predicted(values)), atol=1e-5)


@given(SEEDS, st.integers(1, 6), TEMPERATURES, st.sampled_from([np.float32, np.float64]))
@settings(deadline=None, max_examples=40)
def test_results_are_finite_colours_of_the_members_type(seed, members, temperature, kind):
    generator = np.random.default_rng(seed)
    values = (1.2 * colours(generator, members)).astype(kind)  # some beyond [-1, 1]
    weights = generator.dirichlet(np.ones(members))
    for rule in (ColourVotes(weights, temperature), ColourMajority(weights)):
        result = rule(predicted(values))
        assert result.dtype == kind
        assert result.shape == (B, 3, H, W)
        assert np.isfinite(result).all()
        assert np.abs(result).max() <= 1


@given(SEEDS, st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_at_temperature_one_votes_are_the_weighted_mean_in_lab(seed, members):
    generator = np.random.default_rng(seed)
    values, weights = colours(generator, members).astype(np.float64), generator.dirichlet(np.ones(members))
    expected = to_rgb(np.tensordot(weights, to_lab(values), axes=1))
    np.testing.assert_allclose(ColourVotes(weights, 1.0)(predicted(values)), expected, atol=1e-9)


@given(SEEDS, st.integers(2, 5))
@settings(deadline=None, max_examples=40)
def test_near_temperature_zero_every_pixel_has_the_ab_of_one_member(seed, members):
    generator = np.random.default_rng(seed)
    values, weights = colours(generator, members).astype(np.float64), generator.dirichlet(np.ones(members))
    found = ColourVotes(weights, 1e-7)(predicted(values))
    lab = to_lab(values)
    lab[:, :, 0] = np.tensordot(weights, lab[:, :, 0], axes=1)
    off = np.abs(to_rgb(lab) - found).max(axis=2)  # (k, B, H, W)
    assert off.min(axis=0).max() < 1e-4


def test_a_lower_temperature_moves_from_the_mean_to_the_winning_colour():
    values = of_lab((30, 0), (32, 1), (-25, 0))
    found = [to_lab(ColourVotes(np.full(3, 1 / 3), t)(predicted(values)))[0, 1, 0, 0] for t in (1, 0.5, 0.25, 0.05)]
    assert found[0] == pytest.approx(37 / 3, abs=0.01)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(31, abs=0.2)


def test_weights_decide_who_wins():
    values = of_lab((30, 0), (-25, 0))
    for weights, expected in (([0.7, 0.3], 30), ([0.3, 0.7], -25)):
        found = to_lab(ColourVotes(np.array(weights), 0.05)(predicted(values)))
        np.testing.assert_allclose(found[:, 1], expected, atol=0.1)


def test_the_grid_of_bins_does_not_show():
    """A lone voice against two: wherever its colour lies in its bin, it counts alike."""
    counts = []
    for shift in np.linspace(0, 10, 21):
        values = of_lab((-25 + shift, shift / 3), (-25 + shift, shift / 3), (30, 0))
        a = to_lab(ColourVotes(np.full(3, 1 / 3), 0.5)(predicted(values)))[0, 1, 0, 0]
        counts.append((30 - a) / (55 - shift))  # the share of the two
    np.testing.assert_allclose(counts, 0.8, atol=1e-3)  # (2/3)^2 against (1/3)^2


def test_votes_of_more_members_than_one_agree_with_a_sum_over_all_bins():
    """The definition, with every bin written out."""
    generator = np.random.default_rng(4)
    values, weights, temperature = colours(generator, 4).astype(np.float64), np.array([0.4, 0.3, 0.2, 0.1]), 0.4
    lab = to_lab(values)
    inside = bins_in_gamut()
    centres = BIN * (np.stack(np.nonzero(inside), axis=1) - REACH)  # (bins, 2)
    expected = np.empty_like(lab[0])
    for b, y, x in np.ndindex(B, H, W):
        ab = lab[:, b, 1:, y, x]
        off = centres[None] - ab[:, None]
        near = BIN * (nearest_bins(ab) - REACH)
        votes = np.exp(-np.square(off).sum(axis=2) / 50) * (np.abs(centres[None] - near[:, None]).max(axis=2) <= BIN)
        votes /= np.linalg.norm(votes, axis=1, keepdims=True)
        counts = weights * (votes @ (weights @ votes)) ** (1 / temperature - 1)
        expected[b, 0, y, x] = weights @ lab[:, b, 0, y, x]
        expected[b, 1:, y, x] = counts @ ab / counts.sum()
    found = ColourVotes(weights, temperature)(predicted(values))
    np.testing.assert_allclose(found, to_rgb(expected), atol=1e-9)


def test_the_majority_averages_the_voters_of_the_winning_bin():
    values = of_lab((31, 2), (29, -2), (-22, 0))
    found = to_lab(ColourMajority(np.array([0.3, 0.1, 0.6]))(predicted(values)))
    np.testing.assert_allclose(found[:, 1], (0.3 * 31 + 0.1 * 29) / 0.4, atol=0.01)
    np.testing.assert_allclose(found[:, 0], 60, atol=0.01)


def test_a_tied_majority_goes_to_weight_then_to_the_first_member():
    values = of_lab((30, 0), (-20, 0))
    heavier = ColourMajority(np.array([0.4, 0.6]))(predicted(values))
    np.testing.assert_allclose(to_lab(heavier)[:, 1], -20, atol=0.01)
    first = ColourMajority(np.array([0.5, 0.5]))(predicted(values))
    np.testing.assert_allclose(to_lab(first)[:, 1], 30, atol=0.01)


@pytest.mark.parametrize("rule", [ColourVotes(np.array([0.5, 0, 0.5]), 0.3), ColourMajority(np.array([0.25, 0, 0.75]))])
def test_a_stored_and_a_narrowed_rule_give_the_same_bytes(rule):
    values = colours(np.random.default_rng(0), 3)
    expected = rule(predicted(values))
    again = type(rule).restore(*rule.state())
    np.testing.assert_array_equal(again(predicted(values)), expected)
    assert rule.used.tolist() == [0, 2]
    np.testing.assert_array_equal(rule.narrowed()(predicted(values[rule.used])), expected)


def seen(values, targets, groups=None, measures=None):
    return InMemory(measures or Colours(), predicted(values), targets, groups, at_once=3)


def test_the_temperature_is_that_of_the_best_gain_metric():
    # Two of three members are right and the third is off by chance: the colder, the better.
    generator = np.random.default_rng(0)
    truth = np.broadcast_to(generator.uniform(-0.6, 0.6, (6, 3, 1, 1)), (6, 3, H, W)).astype(np.float32)
    wrong = generator.uniform(-1, 1, truth.shape).astype(np.float32)
    assert Votes().fit(seen([truth, truth, wrong], truth)).temperature == 0.25
    noisy = [truth + generator.normal(0, 0.05, truth.shape).astype(np.float32) for _ in range(4)]
    assert Votes().fit(seen(noisy, truth)).temperature == 1.0
    assert Votes(0.38).fit(seen([truth, truth, wrong], truth)).temperature == 0.38


@pytest.mark.parametrize(
    "method", [Votes(), Votes(0.4), Votes(weights=lambda gram: np.array([0.5, 0.2, 0.3])), Majority()]
)
def test_cross_fitting_gives_each_fold_the_rule_fitted_without_it(method):
    generator = np.random.default_rng(1)
    values = colours(generator, 3, examples=11)
    targets = np.where(np.arange(11)[:, None, None, None] < 6, values[0], values.mean(axis=0)).astype(np.float32)
    data, fold = seen(values, targets), np.arange(11) // 4
    for number, rule in enumerate(method.cross_fit(data, fold)):
        expected = method.fit(data.only(fold != number))
        assert rule.state() == expected.state()


def test_weights_come_from_the_mean_gram_matrix():
    generator = np.random.default_rng(0)
    truth = generator.uniform(-1, 1, (4, 3, H, W)).astype(np.float32)
    values = [truth + scale * generator.normal(size=truth.shape).astype(np.float32) for scale in (0.1, 0.2)]
    rule = Votes(0.5, weights=lambda gram: 1 / np.diag(gram) / (1 / np.diag(gram)).sum()).fit(seen(values, truth))
    assert rule.weights[0] == pytest.approx(0.8, abs=0.02)
    with pytest.raises(ValueError, match="sum to one"):
        shares_of(seen(values, truth), lambda gram: np.array([0.5, 0.2]))


def test_what_it_is_not_for_is_said():
    values = colours(np.random.default_rng(0), 2)
    assert Votes().unsuited(seen(values, values[0])) is None
    assert "one member" in Majority().unsuited(seen(values[:1], values[0]))
    assert "predict values" in Votes().unsuited(seen(values, values[0], measures=Numbers()))


@pytest.mark.parametrize("temperature", [0, -1, 1.5, float("nan"), True, "1"])
def test_temperatures_outside_their_range_are_refused(temperature):
    with pytest.raises(ValueError, match="0 < temperature <= 1"):
        ColourVotes(np.array([1.0]), temperature)
    with pytest.raises(ValueError, match="0 < temperature <= 1"):
        Votes(temperature)


def test_votes_against_refuse_and_so_do_pictures_of_other_shapes():
    with pytest.raises(ValueError, match="weights >= 0"):
        ColourVotes(np.array([1.5, -0.5]), 1.0)
    rule = ColourVotes(np.array([0.5, 0.5]), 1.0)
    with pytest.raises(ValueError, match=r"colours \(B, 3, H, W\)"):
        rule(predicted(np.zeros((2, B, 2, H, W), np.float32)))
    with pytest.raises(ValueError, match="2 members, got 3"):
        rule(predicted(np.zeros((3, B, 3, H, W), np.float32)))


@given(st.integers(1, 50), st.integers(1, 60))
def test_a_sample_is_spread_over_all_examples(examples, most):
    chosen = spread_out(examples, most)
    assert chosen.sum() == min(examples, most)
    assert chosen[0]
    assert most == 1 or chosen[-1]
