import json

import numpy as np
import pytest

from ensembles import (
    BadPredictions,
    CheckpointDamaged,
    CheckpointError,
    Ensemble,
    Member,
    Predictor,
    load,
    load_predictor,
)
from ensembles.folders import whole_folder

INPUTS = np.random.default_rng(0).uniform(-1, 1, (2, 1, 5, 7)).astype(np.float32)


@pytest.fixture
def members(tiny, tmp_path):
    folders = [tiny.write_checkpoint(tmp_path / f"trial{seed}", seed) for seed in range(3)]
    weights = [0.1 + 0.2, 0.0, 1 - (0.1 + 0.2)]
    return [
        Member(load_predictor(folder), weight, folder, trial_id=folder.name, iteration=4, source="runs/x")
        for folder, weight in zip(folders, weights, strict=True)
    ]


def edit(folder, change):
    content = json.loads((folder / "ensemble.json").read_text())
    change(content)
    (folder / "ensemble.json").write_text(json.dumps(content))


def test_the_same_inputs_give_the_same_bits_after_a_round_trip(members, tmp_path):
    ensemble = Ensemble(members, "simplex", {"reason": "because", "seed": 3})
    ensemble.save(tmp_path / "e")
    again = Ensemble.load(tmp_path / "e")
    np.testing.assert_array_equal(again(INPUTS), ensemble(INPUTS))
    np.testing.assert_array_equal(again.weights, ensemble.weights)
    assert (again.method, again.notes) == ("simplex", {"reason": "because", "seed": 3})
    assert [(m.trial_id, m.iteration, m.source) for m in again.members] == [
        ("trial0", 4, "runs/x"),
        ("trial2", 4, "runs/x"),
    ]


def test_an_ensemble_is_the_weighted_mean_of_its_members(members):
    expected = 0.3 * members[0].predictor(INPUTS) + 0.7 * members[2].predictor(INPUTS)
    result = Ensemble(members, "simplex")(INPUTS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_member_of_weight_zero_is_dropped_and_never_run(members, tmp_path):
    ensemble = Ensemble(members, "simplex")
    ensemble(INPUTS)
    assert [member.predictor.runs for member in members] == [1, 0, 1]
    ensemble.save(tmp_path / "e")
    assert sorted(path.name for path in (tmp_path / "e" / "members").iterdir()) == ["00", "01"]


def test_an_ensemble_is_a_predictor(members):
    ensemble = Ensemble(members, "simplex")
    assert isinstance(ensemble, Predictor)
    batch = next(ensemble.batches("val"))
    assert batch.inputs.shape == (4, 1, 5, 7)
    scores = ensemble.scores(ensemble(batch.inputs), batch.targets)
    assert scores[ensemble.gain_metric].shape == (4,)
    assert ensemble.summarize(scores)["mse"] == pytest.approx(scores["mse"].mean())
    assert ensemble.picture(batch.targets[0]).shape == (5, 7, 3)


def test_what_predicts_is_loaded_whether_ensemble_or_checkpoint(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    assert isinstance(load(tmp_path / "e"), Ensemble)
    np.testing.assert_array_equal(load(members[1].folder)(INPUTS), members[1].predictor(INPUTS))


def test_an_ensemble_can_be_saved_over_itself(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    before = Ensemble.load(tmp_path / "e")(INPUTS)
    Ensemble.load(tmp_path / "e").save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), before)
    assert not list(tmp_path.glob(".e-*"))


def test_a_member_of_weight_zero_in_the_file_is_not_even_loaded(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    edit(tmp_path / "e", lambda content: content["members"].append({"folder": "members/07", "weight": 0.0}))
    assert len(Ensemble.load(tmp_path / "e").members) == 2


def test_the_earlier_ensemble_comes_back_when_the_new_one_cannot_take_its_place(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "e") as fresh:
        fresh.rmdir()
    assert Ensemble.load(tmp_path / "e").method == "simplex"


def test_a_folder_that_holds_something_else_is_not_replaced(members, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"meow")
    with pytest.raises(FileExistsError, match="photos exists and is not an ensemble"):
        Ensemble(members, "simplex").save(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.png").read_bytes() == b"meow"


def test_a_save_that_fails_leaves_the_earlier_ensemble_whole(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    before = Ensemble.load(tmp_path / "e")(INPUTS)
    (members[2].folder / "settings.json").unlink()
    with pytest.raises(FileNotFoundError):
        Ensemble(members[::-1], "mean").save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), before)
    assert not list(tmp_path.glob(".e-*"))


def test_a_flipped_byte_in_a_member_is_named(members, tmp_path):
    Ensemble(members, "simplex").save(tmp_path / "e")
    path = tmp_path / "e" / "members" / "01" / "settings.json"
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    with pytest.raises(CheckpointDamaged, match=r"members/01/settings\.json"):
        Ensemble.load(tmp_path / "e")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["members"][0].update(weight=0.5), "sum to one"),
        (lambda content: content["members"][0].update(weight="much"), "could not convert"),
        (lambda content: content["members"][0].pop("weight"), "weight"),
        (lambda content: content["members"][0].update(folder="../trial0"), "members inside"),
        (lambda content: content["members"].clear(), "at least one member"),
        (lambda content: content.update(version=2), "expected version 1, got 2"),
    ],
)
def test_an_ensemble_file_that_says_something_else_is_refused(members, tmp_path, change, message):
    Ensemble(members, "simplex").save(tmp_path / "e")
    edit(tmp_path / "e", change)
    with pytest.raises(CheckpointError, match=message):
        Ensemble.load(tmp_path / "e")


def test_weights_below_zero_no_members_and_names_taken_are_refused(members):
    half = [Member(members[0].predictor, weight, members[0].folder) for weight in (1.5, -0.5)]
    with pytest.raises(ValueError, match="zero or more"):
        Ensemble(half, "linear")
    with pytest.raises(ValueError, match="sum to one"):
        Ensemble([], "mean")
    with pytest.raises(ValueError, match=r"names of their own, got \['members'\]"):
        Ensemble(members, "mean", {"members": 3})


def test_a_member_that_fails_on_new_inputs_is_named(tiny, members, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "nan", seed=9, mode="nan")
    both = [
        Member(members[0].predictor, 0.5, members[0].folder),
        Member(load_predictor(folder), 0.5, folder),
    ]
    with pytest.raises(BadPredictions, match="Member 1: expected finite predictions"):
        Ensemble(both, "mean")(INPUTS)
