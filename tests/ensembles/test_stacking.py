from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor, StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeRegressor

from ensembles import BadPredictions
from ensembles.combining.combiner import Predicted
from ensembles.combining.estimator import Estimator, Fitted
from ensembles.combining.method import InMemory
from ensembles.combining.normal_equations import Moments, solve
from ensembles.combining.stacking import Linear, Ridge


@dataclass(frozen=True)
class Judge:
    output: str = "values"
    gain_metric: str = "r2"

    def scores(self, predictions, targets):
        mse = np.square(predictions.astype(np.float64) - targets).reshape(len(targets), -1).mean(axis=1)
        return {"mse": mse, self.gain_metric: -mse}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


def observed(values, targets, *, output="values", metric="r2", groups=None, at_once=4):
    predicted = Predicted(np.zeros((len(targets), 1)), list(values))
    return InMemory(Judge(output, metric), predicted, targets, groups, at_once)


def pictures(seed=0, members=3, examples=24, channels=3, size=(5, 7)):
    """Members that are wrong in their own ways, and more so on some examples; two examples to a group."""
    generator = np.random.default_rng(seed)
    shape = (examples, channels, *size)
    targets = generator.uniform(-0.9, 0.9, shape)
    hard = np.exp(generator.normal(size=(examples, 1, 1, 1)))
    shared = generator.normal(size=shape)
    values = [
        0.1 * member + targets + hard * (0.1 * shared + (0.1 + 0.1 * member) * generator.normal(size=shape))
        for member in range(members)
    ]
    return values, targets, np.arange(examples) // 2


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 40),
    features=st.integers(1, 6),
    cuts=st.integers(1, 5),
    far=st.sampled_from([0.0, 1e4]),
    twins=st.booleans(),
)
def test_the_normal_equations_have_the_solution_of_least_squares_on_the_stacked_rows(
    seed, rows, features, cuts, far, twins
):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, features))
    if rows < 3 * features:  # a square system can be as ill-conditioned as it likes
        x = np.vstack([x, 3 * np.eye(features), np.zeros((1, features))])
    if twins and features > 1:
        x[:, 1] = x[:, 0]
    y = generator.normal(size=(len(x), 2))
    x, y = x + far, y - far
    parts = [
        Moments.of(a.T[None], b.T[None])
        for a, b in zip(np.array_split(x, min(cuts, len(x))), np.array_split(y, min(cuts, len(y))), strict=True)
    ]
    gathered = parts[0]
    for part in parts[1:]:
        gathered = gathered + part
    found, intercept = solve(gathered, 0.0, np.zeros((1, features, 2)), positive=False, pull_intercept=False)
    expected = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-8)[0]
    np.testing.assert_allclose(found[0], expected, atol=1e-7)
    np.testing.assert_allclose(x @ found[0] + intercept[0], (x - x.mean(0)) @ expected + y.mean(0), atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), split=st.integers(1, 19), weigh=st.booleans())
def test_moments_of_parts_add_up_to_those_of_the_whole(seed, split, weigh):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(3, 1, (2, 4, 20)), generator.normal(-5, 1, (2, 3, 20))
    weights = generator.uniform(0.1, 9, 20) if weigh else None
    whole = Moments.of(x, y, weights)
    parts = [
        Moments.of(x[..., cut], y[..., cut], None if weights is None else weights[cut])
        for cut in (slice(0, split), slice(split, 20))
    ]
    added = parts[0] + parts[1]
    for name in ("rows", "weight", "x", "y", "xx", "xy", "yy"):
        np.testing.assert_allclose(getattr(added, name), getattr(whole, name), atol=1e-9)
    b, c = generator.normal(size=(2, 4, 3)), generator.normal(size=(2, 3))
    errors = y - np.einsum("gpt,gpn->gtn", b, x) - c[..., None]
    expected = (np.square(errors) * (1 if weights is None else weights)).sum()
    assert added.squared_error((b, c)) == pytest.approx(expected)


FINALS = {
    "least squares": (LinearRegression(), Ridge(alpha=0.0, toward="zero")),
    "ridge": (SklearnRidge(alpha=3.7), Ridge(alpha=3.7, toward="zero")),
    "non-negative ridge": (
        SklearnRidge(alpha=3.7, positive=True, tol=1e-13, max_iter=100_000),
        Ridge(alpha=3.7, positive=True, toward="zero"),
    ),
}


@pytest.mark.parametrize("final", FINALS)
def test_stacking_agrees_with_scikit_learn_on_the_same_folds(final):
    """The same members, the same folds, the same data: the same coefficients and predictions."""
    theirs, ours = FINALS[final]
    generator = np.random.default_rng(3)
    x = generator.normal(size=(90, 4))
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * generator.normal(size=90)
    fresh = generator.normal(size=(40, 4))
    bases = [
        LinearRegression(),
        SklearnRidge(alpha=50.0),
        DecisionTreeRegressor(max_depth=3, random_state=0),
        DecisionTreeRegressor(random_state=1),
        DecisionTreeRegressor(max_depth=1, random_state=2),
    ]
    folds = list(KFold(5).split(x))
    stack = StackingRegressor([(str(i), base) for i, base in enumerate(bases)], theirs, cv=folds).fit(x, y)

    out_of_fold = [np.empty(90) for _ in bases]
    for base, column in zip(bases, out_of_fold, strict=True):
        for training, held_out in folds:
            column[held_out] = base.fit(x[training], y[training]).predict(x[held_out])
    rule = ours.fit(observed(out_of_fold, y))
    whole = [base.fit(x, y).predict(fresh) for base in bases]
    np.testing.assert_allclose(rule.coefficients.ravel(), stack.final_estimator_.coef_, atol=1e-6)
    np.testing.assert_allclose(rule(Predicted(fresh, whole)), stack.predict(fresh), atol=1e-6)
    if final == "non-negative ridge":
        assert 0 < (rule.coefficients == 0).sum() < len(bases)  # or positivity was never put to the test


@pytest.mark.parametrize("alpha", [None, 0.3])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("even", [False, True])
def test_cross_fitting_in_one_pass_equals_fitting_without_each_fold(alpha, positive, per_channel, even):
    values, targets, groups = pictures()
    seen = observed(values, targets, output="colours", groups=groups)
    method = Ridge(alpha, positive, per_channel, even=even)
    fold = (groups * 5) % 4
    rules = method.cross_fit(seen, fold)
    assert len(rules) == 4
    for number, rule in enumerate(rules):
        alone = method.fit(seen.only(fold != number))
        np.testing.assert_allclose(rule.coefficients, alone.coefficients, atol=1e-9)
        np.testing.assert_allclose(rule.intercept, alone.intercept, atol=1e-9)
    assert np.abs(rules[0].coefficients - rules[1].coefficients).max() > 1e-6


def test_one_pass_over_the_data_serves_every_fold_and_every_alpha():
    passes = []

    class Counted(InMemory):
        def stream(self):
            passes.append(1)
            return super().stream()

    values, targets, groups = pictures()
    predicted = Predicted(np.zeros((24, 1)), values)
    Ridge().cross_fit(Counted(Judge("colours"), predicted, targets, groups), groups % 5)
    assert len(passes) == 1


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_large_alpha_gives_the_plain_mean(positive, per_channel):
    values, targets, groups = pictures()
    rule = Ridge(1e12, positive, per_channel).fit(observed(values, targets, output="dense", groups=groups))
    predicted = Predicted(np.zeros(24), values)
    np.testing.assert_allclose(rule(predicted), np.mean(values, axis=0), atol=1e-6)


def test_toward_zero_a_large_alpha_gives_the_mean_of_the_targets():
    values, targets, _ = pictures()
    rule = Ridge(1e12, toward="zero").fit(observed(values, targets, output="dense"))
    expected = np.broadcast_to(targets.mean(axis=(0, 2, 3))[:, None, None], targets.shape)
    np.testing.assert_allclose(rule(Predicted(np.zeros(24), values)), expected, atol=1e-6)


def test_channels_that_are_swapped_are_put_right_only_where_they_mix():
    _, targets, _ = pictures()
    swapped = [targets[:, [2, 0, 1]], targets[:, [1, 2, 0]] + 0.1]
    seen = observed(swapped, targets, output="colours")
    for method, right in ((Ridge(1e-9), True), (Ridge(1e-9, per_channel=True), False)):
        found = method.fit(seen)(Predicted(np.zeros(24), swapped))
        assert (np.abs(found - targets).max() < 1e-6) == right


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_weighted_mean_that_is_the_truth_is_found(positive, per_channel):
    generator = np.random.default_rng(1)
    values = generator.normal(size=(3, 30, 2, 4, 3))
    targets = np.tensordot([0.2, 0.3, 0.5], values, 1)
    rule = Ridge(0.0, positive, per_channel).fit(observed(values, targets, output="dense"))
    np.testing.assert_allclose(rule(Predicted(np.zeros(30), list(values))), targets, atol=1e-9)


def test_no_coefficient_is_below_zero_where_none_may_be():
    generator = np.random.default_rng(2)
    values = list(generator.normal(size=(4, 50)))
    targets = values[0] - 2 * values[1]
    assert Ridge(0.1).fit(observed(values, targets)).coefficients.min() < -1
    rule = Ridge(0.1, positive=True).fit(observed(values, targets))
    assert rule.coefficients.min() == 0
    assert rule.coefficients[0, 1] == 0


def test_how_examples_are_cut_into_batches_changes_nothing():
    values, targets, groups = pictures()
    rules = [
        Ridge().fit(observed(values, targets, output="colours", metric="psnr", groups=groups, at_once=at_once))
        for at_once in (1, 5, 100)
    ]
    for rule in rules[1:]:
        np.testing.assert_allclose(rule.coefficients, rules[0].coefficients, atol=1e-10)


def test_easy_pictures_count_as_much_as_hard_ones_where_the_gain_is_psnr():
    # Member 0 is better on many easy pictures, member 1 on one hard picture that outweighs them all in square.
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(10, 1, 20, 20))
    scale = np.array([[0.1] * 9 + [8.0], [0.2] * 9 + [3.0]])
    values = list(targets + scale[:, :, None, None, None] * generator.normal(size=(2, 10, 1, 20, 20)))
    uneven, even = (
        Ridge(1e-3).fit(observed(values, targets, output="dense", metric=metric)).coefficients.ravel()
        for metric in ("mae", "psnr")
    )
    assert uneven[0] < uneven[1]
    assert even[0] > 2 * even[1]


def test_the_penalty_is_chosen_by_what_is_left_out():
    generator = np.random.default_rng(4)
    truth = generator.normal(size=60)
    good = list(truth + 0.1 * generator.normal(size=(2, 60)))
    told = Ridge(toward="zero").fit(observed(good, truth))
    assert told.coefficients.sum() == pytest.approx(1, abs=0.05)
    noise = list(generator.normal(size=(30, 60)))
    nothing = Ridge(toward="zero").fit(observed(noise, truth))
    free = Ridge(0.0, toward="zero").fit(observed(noise, truth))
    assert np.abs(nothing.coefficients).max() < 0.2 * np.abs(free.coefficients).max()


def test_with_one_group_nothing_can_be_left_out_and_the_mean_is_kept():
    values, targets, _ = pictures()
    rule = Ridge().fit(observed(values, targets, output="dense", groups=np.zeros(24, dtype=np.int64)))
    np.testing.assert_allclose(rule.coefficients, np.tile(np.eye(3)[:, None] / 3, (1, 3, 1)), atol=1e-2)


def test_identical_and_constant_members_do_no_harm():
    generator = np.random.default_rng(5)
    truth = generator.normal(size=40)
    member = truth + 0.3 * generator.normal(size=40)
    members = [member, member, np.ones(40)]
    for method in (Ridge(0.0), Ridge(0.0, positive=True)):
        alone = method.fit(observed([member], truth))(Predicted(np.zeros(40), [member]))
        together = method.fit(observed(members, truth))(Predicted(np.zeros(40), members))
        np.testing.assert_allclose(together, alone, atol=1e-9)
    rule = Ridge().fit(observed(members, truth))
    assert rule.coefficients[0, 0] == pytest.approx(rule.coefficients[0, 1])


@pytest.mark.parametrize("shape", [(31,), (31, 2), (31, 3, 5, 7)])
@pytest.mark.parametrize("per_channel", [False, True])
def test_results_have_the_shape_and_type_of_the_members(shape, per_channel):
    generator = np.random.default_rng(0)
    values = list(generator.normal(size=(4, *shape)).astype(np.float32))
    targets = generator.normal(size=shape).astype(np.float32)
    rule = Ridge(per_channel=per_channel).fit(observed(values, targets))
    result = rule(Predicted(np.zeros(31), values))
    assert result.shape == shape
    assert result.dtype == np.float32


def test_probabilities_stay_probabilities_and_colours_in_their_range():
    generator = np.random.default_rng(0)
    classes = np.eye(3)[generator.integers(3, size=50)]
    values = list(generator.dirichlet(np.ones(3), size=(2, 50)) * 0.3 + 0.7 * classes)
    rule = Linear(5 * np.ones((3, 2)), np.array([-3.0, -4, -5]), "probabilities")
    for each in (rule, Ridge().fit(observed(values, classes, output="probabilities"))):
        result = each(Predicted(np.zeros(50), values))
        assert result.min() >= 0
        np.testing.assert_allclose(result.sum(axis=1), 1)
    colours = Linear(5 * np.ones((1, 1)), np.zeros(1), "colours")
    np.testing.assert_array_equal(colours(Predicted(np.zeros(2), [np.array([[0.1], [0.3]])])), [[0.5], [1]])
    empty = Linear(np.ones((2, 1)), np.full(2, -9.0), "probabilities")
    np.testing.assert_array_equal(empty(Predicted(np.zeros(1), [np.array([[0.2, 0.8]])])), [[0.5, 0.5]])


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_rule_that_was_stored_predicts_the_same_bytes(per_channel):
    values, targets, groups = pictures()
    values = [each.astype(np.float32) for each in values]
    rule = Ridge(per_channel=per_channel).fit(observed(values, targets, output="colours", groups=groups))
    settings, arrays = rule.state()
    again = Linear.restore(settings, arrays)
    predicted = Predicted(np.zeros(24), values)
    assert again(predicted).tobytes() == rule(predicted).tobytes()
    one_by_one = np.concatenate([again(predicted.rows(slice(n, n + 1))) for n in range(24)])
    assert one_by_one.tobytes() == rule(predicted).tobytes()


@pytest.mark.parametrize("mixed", [False, True])
def test_members_without_a_coefficient_are_not_needed(mixed):
    coefficients = np.random.default_rng(0).normal(size=(3, 4, 3) if mixed else (3, 4))
    coefficients[:, [0, 2]] = 0
    rule = Linear(coefficients, np.ones(3), "dense")
    values = list(np.random.default_rng(1).normal(size=(4, 6, 3, 5, 7)).astype(np.float32))
    assert rule.used.tolist() == [1, 3]
    predicted = Predicted(np.zeros(6), values)
    assert rule.narrowed()(predicted.of(rule.used)).tobytes() == rule(predicted).tobytes()
    constant = Linear(np.zeros((3, 4)), np.ones(3), "dense")
    assert constant.used.tolist() == [0]
    np.testing.assert_array_equal(constant.narrowed()(predicted.of([0])), np.ones((6, 3, 5, 7)))


def test_predictions_that_are_not_finite_are_refused_by_the_number_of_their_member():
    values, targets, _ = pictures()
    values[1][3, 0, 0, 0] = np.nan
    for even in (False, True):
        with pytest.raises(BadPredictions, match="Member 1: expected finite"):
            Ridge(even=even).fit(observed(values, targets, output="colours"))
    with pytest.raises(BadPredictions, match="Member 1: expected finite"):
        Linear(np.ones((3, 3)), np.zeros(3), "colours")(Predicted(np.zeros(24), values))


def test_targets_that_are_missing_are_refused():
    values, targets, _ = pictures()
    targets[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite targets"):
        Ridge().fit(observed(values, targets, output="colours"))


def test_without_examples_there_is_nothing_to_fit():
    with pytest.raises(ValueError, match="at least one example"):
        Ridge().fit(observed([np.zeros(0)], np.zeros(0)))
    with pytest.raises(ValueError, match="outside of each fold"):
        Ridge().cross_fit(observed([np.ones(3)], np.ones(3)), np.zeros(3, dtype=np.intp))


@pytest.mark.parametrize("alpha", [-1.0, np.nan, np.inf])
def test_a_penalty_below_zero_or_without_end_is_refused(alpha):
    with pytest.raises(ValueError, match="0 <= alpha"):
        Ridge(alpha)


@pytest.mark.parametrize(
    ("coefficients", "intercept"),
    [
        (np.ones(3), np.ones(3)),
        (np.ones((2, 3)), np.ones(3)),
        (np.ones((3, 4, 2)), np.ones(3)),
        (np.ones((3, 0)), np.ones(3)),
        (np.full((3, 2), np.nan), np.ones(3)),
    ],
)
def test_a_linear_rule_that_is_not_whole_is_refused(coefficients, intercept):
    with pytest.raises(ValueError, match="Expected"):
        Linear(coefficients, intercept, "values")


def test_any_estimator_learns_per_example_as_scikit_learn_stacks():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(80, 3))
    y = x[:, 0] * x[:, 1]
    bases = [LinearRegression(), DecisionTreeRegressor(max_depth=4, random_state=0)]
    folds = list(KFold(4).split(x))
    final = RandomForestRegressor(5, random_state=0)
    stack = StackingRegressor([(str(i), base) for i, base in enumerate(bases)], final, cv=folds).fit(x, y)
    out_of_fold = [np.empty(80) for _ in bases]
    for base, column in zip(bases, out_of_fold, strict=True):
        for training, held_out in folds:
            column[held_out] = base.fit(x[training], y[training]).predict(x[held_out])
    rule = Estimator(lambda: RandomForestRegressor(5, random_state=0)).fit(observed(out_of_fold, y))
    whole = [base.fit(x, y).predict(x) for base in bases]
    np.testing.assert_allclose(rule(Predicted(x, whole)), stack.predict(x), atol=1e-12)


def test_an_estimator_of_pictures_learns_from_pixels_and_agrees_with_ridge():
    values, targets, _ = pictures()
    seen = observed(values, targets, output="dense")
    rule = Estimator(lambda: SklearnRidge(2.0), most=10**6).fit(seen)
    expected = Ridge(2.0, toward="zero", even=False).fit(seen)
    predicted = Predicted(np.zeros(24), values)
    np.testing.assert_allclose(rule(predicted), expected(predicted), atol=1e-9)


class Keeps:
    """Remembers what it was fitted to, predicts the first feature of each target."""

    def fit(self, features, targets):
        self.features, self.targets = features, targets.reshape(len(targets), -1)
        return self

    def predict(self, features):
        return features[:, : self.targets.shape[1]]


def test_of_pictures_an_estimator_gets_no_more_pixels_than_allowed_drawn_evenly_and_whole():
    targets = np.arange(40 * 5 * 7, dtype=np.float64).reshape(40, 1, 5, 7)
    values = [targets, -targets]
    for at_once in (1, 7, 40):
        seen = observed(values, targets, output="dense", at_once=at_once)
        rule = Estimator(Keeps, most=300, seed=1).fit(seen)
        assert rule.model.features.shape == (300, 2)
        np.testing.assert_array_equal(rule.model.features, rule.model.targets * [1, -1])
        drawn = rule.model.targets.ravel()
        assert len(np.unique(drawn)) == 300
        assert drawn.mean() == pytest.approx(targets.mean(), abs=4 * targets.std() / 300**0.5)
        again = Estimator(Keeps, most=300, seed=1).fit(observed(values, targets, output="dense", at_once=13))
        np.testing.assert_array_equal(again.model.features, rule.model.features)
    other = Estimator(Keeps, most=300, seed=2).fit(seen)
    assert not np.array_equal(other.model.features, rule.model.features)


def test_an_estimator_puts_pixels_and_channels_back_where_they_were():
    values, targets, _ = pictures()
    rule = Estimator(Keeps).fit(observed(values, targets, output="dense"))
    np.testing.assert_array_equal(rule(Predicted(np.zeros(24), values)), values[0])


def test_a_classifier_is_fitted_to_class_numbers_and_leaves_classes_it_never_saw_at_zero():
    generator = np.random.default_rng(0)
    classes = generator.choice([0, 2, 3], size=120)
    targets = np.eye(5)[classes]
    values = list(0.4 * generator.dirichlet(np.ones(5), size=(3, 120)) + 0.6 * targets)
    rule = Estimator(LogisticRegression).fit(observed(values, targets, output="probabilities"))
    found = rule(Predicted(np.zeros(120), values))
    assert (found.argmax(axis=1) == classes).mean() > 0.95
    np.testing.assert_array_equal(found[:, [1, 4]], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_fitted_estimator_is_not_stored_and_says_what_to_do_instead():
    rule = Estimator(LinearRegression).fit(observed([np.arange(5.0)], np.arange(5.0)))
    with pytest.raises(ValueError, match=r"LinearRegression, which only pickling could store.*stack with `Ridge`"):
        rule.state()
    with pytest.raises(ValueError, match="fit it anew"):
        Fitted.restore({}, {})


def test_an_estimator_that_predicts_another_shape_or_no_numbers_is_refused():
    class Odd(Keeps):
        def predict(self, features):
            return np.full((len(features), 2), np.nan) if self.targets.shape[1] == 2 else features[:-1]

    for columns, reason in ((3, "Expected predictions"), (2, "finite predictions of the fitted Odd")):
        targets = np.ones((6, columns))
        rule = Estimator(Odd).fit(observed([targets], targets))
        with pytest.raises(ValueError, match=reason):
            rule(Predicted(np.zeros(6), [targets]))
