import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.combining.colours import to_lab
from ensembles.combining.combiner import Predicted
from ensembles.combining.medoid import Median, MedianValue, Medoid, NearestMember
from ensembles.combining.method import InMemory
from ensembles.combining.regions import regions

B, H, W = 2, 5, 7
SEEDS = st.integers(0, 2**32 - 1)


class Measures:
    gain_metric = "mse"

    def __init__(self, output):
        self.output = output

    def scores(self, predictions, targets):
        return {"mse": np.square(predictions - targets).reshape(len(targets), -1).mean(axis=1)}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


def drawing(*rows):
    """Lines as '#', paper as '.', to (1, 1, H, W) in [-1, 1]."""
    return np.array([[1.0 if pixel == "." else -1.0 for pixel in row] for row in rows], np.float32)[None, None]


def framed():
    """Two areas side by side, 11 x 13."""
    lines = np.ones((11, 13), np.float32)
    lines[:, 6] = -1
    return lines


def seen(values, output="colours", inputs=None):
    inputs = np.zeros((len(values[0]), 1, H, W), np.float32) if inputs is None else inputs
    return InMemory(Measures(output), Predicted(inputs, list(values)), values[0])


@given(SEEDS, st.integers(1, 5), st.booleans())
@settings(deadline=None, max_examples=40)
def test_every_pixel_is_some_members_and_nearest_to_all(seed, members, lab):
    generator = np.random.default_rng(seed)
    values = generator.uniform(-1, 1, (members, B, 3, H, W)).astype(np.float32)
    weights = generator.dirichlet(np.ones(members))
    found = NearestMember(weights, "pixel", lab)(Predicted(np.zeros((B, 1, H, W)), list(values)))
    assert found.dtype == np.float32
    points = to_lab(values) if lab else values.astype(np.float64)
    for b, y, x in np.ndindex(B, H, W):
        pixel = points[:, b, :, y, x]
        costs = np.linalg.norm(pixel[:, None] - pixel[None], axis=2) @ weights
        np.testing.assert_array_equal(found[b, :, y, x], values[costs.round(9).argmin(), b, :, y, x])


@given(SEEDS, st.integers(1, 5), st.sampled_from(["pixel", "region"]))
@settings(deadline=None, max_examples=40)
def test_identical_members_give_that_member_and_the_order_is_without_effect(seed, members, by):
    generator = np.random.default_rng(seed)
    inputs = generator.uniform(-1, 1, (B, 1, H, W)).astype(np.float32)
    weights, order = generator.dirichlet(np.ones(members)), generator.permutation(members)
    one = generator.uniform(-1, 1, (B, 3, H, W)).astype(np.float32)
    rule, other = NearestMember(weights, by, True), NearestMember(weights[order], by, True)
    np.testing.assert_array_equal(rule(Predicted(inputs, [one] * members)), one)
    values = generator.uniform(-1, 1, (members, B, 3, H, W)).astype(np.float32)
    values[:2] *= 0.1  # so that two members do not tie
    if members != 2:
        expected = rule(Predicted(inputs, list(values)))
        np.testing.assert_array_equal(other(Predicted(inputs, list(values[order]))), expected)


@pytest.mark.parametrize("by", ["pixel", "region"])
def test_of_two_members_the_heavier_is_taken_and_of_equals_the_first(by):
    inputs, values = framed()[None, None], [np.full((1, 3, 11, 13), level, np.float32) for level in (-0.5, 0.5)]
    for weights, expected in (([0.4, 0.6], 0.5), ([0.6, 0.4], -0.5), ([0.5, 0.5], -0.5)):
        found = NearestMember(np.array(weights), by, True)(Predicted(inputs, values))
        assert (found == expected).all()


@given(SEEDS)
@settings(deadline=None, max_examples=40)
def test_by_region_an_area_is_one_members(seed):
    generator = np.random.default_rng(seed)
    inputs = np.stack([framed()[None], framed()[None, ::-1]])
    values = generator.uniform(-1, 1, (4, 2, 3, 11, 13)).astype(np.float32)
    found = NearestMember(np.full(4, 0.25), "region", True)(Predicted(inputs, list(values)))
    own = (found[None] == values).all(axis=2)  # (k, B, H, W)
    assert (own.sum(axis=0) == 1).all()
    for example in range(2):
        area = regions(inputs[example, 0])
        assert area.max() == 1
        for number in range(2):
            assert own[:, example][:, area == number].all(axis=1).sum() == 1


def test_two_areas_may_go_to_two_members():
    inputs = framed()[None, None]
    left, right = np.full((2, 1, 3, 11, 13), 0.5, np.float32)
    middle = np.full((1, 3, 11, 13), 0.4, np.float32)
    left[..., :6], right[..., 7:] = 0.35, 0.35  # left is off on the left, right on the right
    left[..., 7:], right[..., :6] = 0.41, 0.41
    middle[..., :6], middle[..., 7:] = 0.9, 0.9
    found = NearestMember(np.full(3, 1 / 3), "region", False)(Predicted(inputs, [left, middle, right]))
    np.testing.assert_array_equal(found[0, 0, 0, :6], np.float32(0.41))
    np.testing.assert_array_equal(found[0, 0, 0, 7:], np.float32(0.41))


def test_areas_are_those_that_lines_enclose():
    lines = drawing(
        ".........",
        ".#######.",
        ".#..#..#.",
        ".#..#..#.",
        ".#######.",
        ".........",
    )[0, 0]
    areas = regions(np.repeat(np.repeat(lines, 4, axis=0), 4, axis=1))
    assert areas.max() == 2
    outside, left, right = areas[0, 0], areas[10, 10], areas[10, 22]
    assert len({outside, left, right}) == 3
    assert areas[23, 35] == outside
    assert areas[4, 5] == outside  # pixels of the line, nearer to the outside
    assert areas[7, 10] == left


@pytest.mark.parametrize(("gap", "count"), [(0, 2), (1, 2), (2, 2), (3, 1)])
def test_a_gap_of_two_pixels_is_closed_and_a_wider_one_is_a_door(gap, count):
    lines = np.ones((20, 21), np.float32)
    lines[:, 10] = -1
    lines[9 : 9 + gap, 10] = 1
    assert regions(lines).max() + 1 == count


@pytest.mark.parametrize("level", [-1.0, 1.0])
def test_a_drawing_of_nothing_is_one_area(level):
    areas = regions(np.full((H, W), level))
    assert areas.shape == (H, W)
    assert (areas == 0).all()


def test_lines_at_the_edge_of_the_picture_do_not_hide_what_lies_beside_them():
    lines = np.ones((8, 8), np.float32)
    lines[:, 0] = -1
    lines[3, :] = -1
    assert regions(lines).max() + 1 == 2


@given(SEEDS, st.integers(1, 6), st.sampled_from([(B,), (B, 4), (B, 3, H, W)]))
@settings(deadline=None, max_examples=40)
def test_the_median_is_that_of_every_value(seed, members, shape):
    values = np.random.default_rng(seed).normal(size=(members, *shape)).astype(np.float32)
    found = MedianValue(members)(Predicted(np.zeros(B), list(values)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.median(values.astype(np.float64), axis=0), rtol=1e-6, atol=1e-7)


def test_large_pictures_are_taken_apart_without_a_seam(monkeypatch):
    values = list(np.random.default_rng(0).uniform(-1, 1, (3, B, 3, H, W)).astype(np.float32))
    rules = [NearestMember(np.full(3, 1 / 3), "pixel", True), MedianValue(3)]
    whole = [rule(Predicted(np.zeros(B), values)) for rule in rules]
    monkeypatch.setattr("ensembles.combining.medoid._VALUES_AT_ONCE", 30)
    for rule, expected in zip(rules, whole, strict=True):
        np.testing.assert_array_equal(rule(Predicted(np.zeros(B), values)), expected)


@pytest.mark.parametrize("by", ["pixel", "region"])
@pytest.mark.parametrize("lab", [True, False])
def test_a_stored_and_a_narrowed_medoid_give_the_same_bytes(by, lab):
    generator = np.random.default_rng(0)
    values, inputs = generator.uniform(-1, 1, (4, B, 3, H, W)), generator.uniform(-1, 1, (B, 1, H, W))
    rule = NearestMember(np.array([0.3, 0.3, 0, 0.4]), by, lab)
    expected = rule(Predicted(inputs, list(values)))
    again = NearestMember.restore(*rule.state())
    np.testing.assert_array_equal(again(Predicted(inputs, list(values))), expected)
    np.testing.assert_array_equal(rule.narrowed()(Predicted(inputs, list(values[rule.used]))), expected)


def test_a_stored_median_gives_the_same_bytes():
    values = list(np.random.default_rng(0).normal(size=(4, B, 3)))
    rule = MedianValue(4)
    expected = rule(Predicted(np.zeros(B), values))
    np.testing.assert_array_equal(MedianValue.restore(*rule.state())(Predicted(np.zeros(B), values)), expected)


def test_colours_are_compared_in_lab_and_maps_as_they_are():
    values = np.random.default_rng(0).uniform(-1, 1, (3, B, 3, H, W)).astype(np.float32)
    assert Medoid().fit(seen(values)).lab
    assert not Medoid().fit(seen(values, "dense")).lab
    maps = values[:, :, :2]
    assert Medoid().fit(seen(maps, "dense"))(Predicted(np.zeros(B), list(maps))).shape == (B, 2, H, W)


def test_colours_beyond_their_range_are_clipped_and_maps_are_not():
    values = [np.full((B, 3, H, W), 1.5, np.float32)]
    assert NearestMember(np.ones(1), "pixel", True)(Predicted(np.zeros(B), values)).max() == 1
    assert NearestMember(np.ones(1), "pixel", False)(Predicted(np.zeros(B), values)).max() == 1.5


def test_what_it_is_not_for_is_said():
    values = np.random.default_rng(0).uniform(-1, 1, (2, B, 3, H, W)).astype(np.float32)
    assert Medoid("region").unsuited(seen(values)) is None
    assert Medoid("pixel").unsuited(seen(values, inputs=np.zeros((B, 9)))) is None
    for inputs in (np.zeros((B, 9)), np.zeros((B, 3, H, W)), np.zeros((B, 1, H, W + 1))):
        assert "line drawings" in Medoid("region").unsuited(seen(values, inputs=inputs))
        with pytest.raises(ValueError, match='medoid by "pixel"'):
            NearestMember(np.array([0.5, 0.5]), "region", True)(Predicted(inputs, list(values)))
    assert "predict values" in Medoid().unsuited(seen(values, "values"))
    assert "one member" in Medoid().unsuited(seen(values[:1]))
    assert "sum to one" in Median().unsuited(seen(values, "probabilities"))
    assert "one member" in Median().unsuited(seen(values[:1], "values"))
    assert Median().unsuited(seen(values, "values")) is None
    assert Median().fit(seen(values)).members == 2


def test_other_ways_than_by_pixel_and_by_region_are_refused():
    for make in (lambda: Medoid("area"), lambda: NearestMember(np.ones(1), "area", True)):
        with pytest.raises(ValueError, match='by="pixel" or by="region"'):
            make()
    with pytest.raises(ValueError, match="lab to be true or false"):
        NearestMember(np.ones(1), "pixel", 1)
    with pytest.raises(ValueError, match="at least one member"):
        MedianValue(0)
