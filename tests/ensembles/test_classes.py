import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ensembles.combining.classes import ClassVotes, HardVotes
from ensembles.combining.combiner import Predicted, Weighted
from ensembles.combining.method import InMemory

SEEDS = st.integers(0, 2**32 - 1)


class Measures:
    output = "probabilities"
    gain_metric = "accuracy"

    def scores(self, predictions, targets):
        return {"mse": np.square(predictions - targets).mean(axis=1)}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


class Numbers(Measures):
    output = "values"


def told(values):
    return Predicted(np.zeros((len(values[0]), 1)), list(values))


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
@pytest.mark.parametrize("weights", [None, [0.2, 0.35, 0.1, 0.35 - 1e-3, 1e-3]])
def test_hard_and_soft_votes_agree_with_scikit_learn(load, weights):
    x, y = load(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    noisy = x + np.random.default_rng(0).normal(0, 1.5, x.shape)  # so that the models disagree
    models = [
        ("logistic", LogisticRegression(max_iter=500)),
        ("bayes", GaussianNB()),
        ("neighbours", KNeighborsClassifier(3)),
        ("tree", DecisionTreeClassifier(max_depth=2, random_state=0)),
        ("stump", DecisionTreeClassifier(max_depth=1, random_state=0)),
    ]
    shares = np.full(5, 0.2) if weights is None else np.array(weights)
    soft = VotingClassifier(models, voting="soft", weights=weights).fit(x, y)
    hard = VotingClassifier(models, voting="hard", weights=weights).fit(x, y)
    values = [model.predict_proba(noisy) for model in soft.estimators_]
    np.testing.assert_allclose(Weighted(shares)(told(values)), soft.predict_proba(noisy), atol=1e-6)

    found = ClassVotes(shares)(told(values))
    ballots = np.stack([one.argmax(axis=1) for one in values])
    tally = np.stack([(shares[:, None] * (ballots == c)).sum(axis=0) for c in range(values[0].shape[1])], axis=1)
    ordered = np.sort(tally, axis=1)
    clear = ordered[:, -1] > ordered[:, -2] + 1e-9  # scikit-learn gives a tie to the first class, whoever is likelier
    assert clear.mean() > 0.9
    assert (ballots != ballots[0]).any(axis=0).mean() > 0.1
    np.testing.assert_array_equal(found.argmax(axis=1)[clear], hard.predict(noisy)[clear])
    np.testing.assert_allclose(found[clear], tally[clear], atol=1e-6)


def probabilities(generator, members, examples=9, classes=3):
    return generator.dirichlet(np.ones(classes), size=(members, examples)).astype(np.float32)


@given(SEEDS, st.integers(1, 6), st.booleans())
@settings(deadline=None, max_examples=40)
def test_shares_sum_to_one_and_do_not_depend_on_the_order_of_members(seed, members, alike):
    generator = np.random.default_rng(seed)
    values = probabilities(generator, members)
    weights = np.full(members, 1 / members) if alike else generator.dirichlet(np.ones(members))
    found, order = ClassVotes(weights)(told(values)), generator.permutation(members)
    assert found.dtype == np.float32
    assert found.shape == (9, 3)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(ClassVotes(weights[order])(told(values[order])), found, atol=1e-6)


@given(SEEDS, st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_identical_members_give_the_class_that_they_hold_likeliest(seed, members):
    one = probabilities(np.random.default_rng(seed), 1)[0]
    found = ClassVotes(np.full(members, 1 / members))(told([one] * members))
    np.testing.assert_allclose(found, np.eye(3)[one.argmax(axis=1)], atol=1e-6)


def test_a_tie_goes_to_the_class_of_higher_mean_probability():
    values = [np.array([[0.6, 0.4, 0]]), np.array([[0.1, 0.9, 0]])]
    np.testing.assert_allclose(ClassVotes(np.array([0.5, 0.5]))(told(values)), [[0.4995, 0.5005, 0]], atol=1e-9)
    as_floats = ClassVotes(np.array([0.5, 0.5]))(told([one.astype(np.float32) for one in values]))
    assert as_floats.argmax() == 1
    tied_again = [np.array([[0.6, 0.4]]), np.array([[0.4, 0.6]])]
    assert ClassVotes(np.array([0.5, 0.5]))(told(tied_again)).argmax() == 0


def test_many_unsure_votes_outvote_a_sure_one():
    values = [np.array([[0.51, 0.49]]), np.array([[0.52, 0.48]]), np.array([[0.0, 1.0]])]
    np.testing.assert_allclose(ClassVotes(np.full(3, 1 / 3))(told(values)), [[2 / 3, 1 / 3]], atol=1e-6)


def test_a_stored_and_a_narrowed_rule_give_the_same_bytes():
    values = probabilities(np.random.default_rng(0), 3)
    rule = ClassVotes(np.array([0.4, 0, 0.6]))
    expected = rule(told(values))
    np.testing.assert_array_equal(ClassVotes.restore(*rule.state())(told(values)), expected)
    np.testing.assert_array_equal(rule.narrowed()(told(values[rule.used])), expected)


def test_weights_are_fitted_on_what_is_seen():
    generator = np.random.default_rng(0)
    targets = np.eye(3)[generator.integers(3, size=9)]
    values = [targets, probabilities(generator, 1)[0]]
    data = InMemory(Measures(), told(values), targets)
    assert HardVotes().fit(data).weights.tolist() == [0.5, 0.5]
    assert HardVotes(lambda gram: (np.diag(gram) == 0).astype(float)).fit(data).used.tolist() == [0]


def test_what_it_is_not_for_is_said():
    values = probabilities(np.random.default_rng(0), 2)
    assert HardVotes().unsuited(InMemory(Measures(), told(values), values[0])) is None
    assert "one member" in HardVotes().unsuited(InMemory(Measures(), told(values[:1]), values[0]))
    assert "predict values" in HardVotes().unsuited(InMemory(Numbers(), told(values), values[0]))
    with pytest.raises(ValueError, match=r"probabilities \(B, C\)"):
        ClassVotes(np.ones(1))(told([np.zeros((3, 2, 2))]))
