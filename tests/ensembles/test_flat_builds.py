"""Ensembles of models that predict no pictures."""

import numpy as np
import pytest

from ensembles import Candidate, build, load


@pytest.fixture
def candidates(flat, tmp_path):
    def make(output, sure=False):
        return [
            Candidate(flat.write_checkpoint(tmp_path / f"t{seed}", seed, output, sure), f"t{seed}", 1, "")
            for seed in range(5)
        ]

    return make


def test_class_probabilities_are_averaged_weighed_and_voted_on(candidates, tmp_path):
    report = build(candidates("probabilities"), tmp_path / "e", methods="all")
    tried = set(report.scores["method"])
    assert {"mean", "simplex", "greedy", "hard_votes", "ridge"} <= tried
    assert {"votes", "medoid_region", "vivid", "mean_flips"} <= set(report.unsuited)
    assert "predict probabilities" in report.unsuited["vivid"]
    accuracy = report.scores.set_index("method")["accuracy"]
    assert accuracy["mean"] > accuracy["best_single"]
    ensemble = load(tmp_path / "e")
    batch = next(iter(ensemble.batches("test")))
    np.testing.assert_allclose(ensemble(batch.inputs).sum(axis=1), 1, atol=1e-5)


def test_numbers_are_averaged_and_stacked(candidates, tmp_path):
    report = build(candidates("values"), tmp_path / "e", methods="all")
    assert {"mean", "median", "simplex", "ridge", "nonnegative"} <= set(report.scores["method"])
    assert {"votes", "hard_votes", "confidence"} <= set(report.unsuited)
    rows = report.scores.set_index("method")
    assert rows.loc[report.method, "gain_low"] > 0
    assert load(tmp_path / "e").output == "values"


def test_a_model_that_knows_where_it_is_good_counts_more_there(candidates, tmp_path):
    report = build(candidates("values", sure=True), tmp_path / "e", methods=["mean", "simplex", "confidence"])
    gains = report.scores.set_index("method")["gain"]
    assert gains["confidence"] > gains["mean"] + 0.1
    assert report.method == "confidence"
    batch = next(iter(load(tmp_path / "e").batches("test")))
    assert load(tmp_path / "e")(batch.inputs).shape == (16,)
