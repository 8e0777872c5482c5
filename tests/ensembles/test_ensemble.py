import json
from dataclasses import replace

import numpy as np
import pytest

from ensembles import (
    BadPredictions,
    CheckpointDamaged,
    CheckpointError,
    Ensemble,
    Member,
    Predictor,
    Weighted,
    load,
    load_predictor,
)
from ensembles.combining.stacking import Linear
from ensembles.folders import whole_folder
from ensembles.members.flips import Flipped

INPUTS = np.random.default_rng(0).uniform(-1, 1, (2, 1, 5, 7)).astype(np.float32)


RULE = Weighted(np.array([0.1 + 0.2, 0.0, 1 - (0.1 + 0.2)]))


@pytest.fixture
def members(tiny, tmp_path):
    folders = [tiny.write_checkpoint(tmp_path / f"trial{seed}", seed) for seed in range(3)]
    return [
        Member(load_predictor(folder), folder, trial_id=folder.name, iteration=4, source="runs/x") for folder in folders
    ]


def edit(folder, change):
    content = json.loads((folder / "ensemble.json").read_text())
    change(content)
    (folder / "ensemble.json").write_text(json.dumps(content))


def test_the_same_inputs_give_the_same_bits_after_a_round_trip(members, tmp_path):
    ensemble = Ensemble(members, RULE, "simplex", {"reason": "because", "seed": 3})
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
    result = Ensemble(members, RULE, "simplex")(INPUTS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_member_of_weight_zero_is_dropped_and_never_run(members, tmp_path):
    ensemble = Ensemble(members, RULE, "simplex")
    ensemble(INPUTS)
    assert [member.predictor.runs for member in members] == [1, 0, 1]
    ensemble.save(tmp_path / "e")
    assert sorted(path.name for path in (tmp_path / "e" / "members").iterdir()) == ["00", "01"]


def test_an_ensemble_is_a_predictor(members):
    ensemble = Ensemble(members, RULE, "simplex")
    assert isinstance(ensemble, Predictor)
    batch = next(ensemble.batches("val"))
    assert batch.inputs.shape == (4, 1, 5, 7)
    scores = ensemble.scores(ensemble(batch.inputs), batch.targets)
    assert scores[ensemble.gain_metric].shape == (4,)
    assert ensemble.summarize(scores)["mse"] == pytest.approx(scores["mse"].mean())
    assert ensemble.picture(batch.targets[0]).shape == (5, 7, 3)


def test_what_predicts_is_loaded_whether_ensemble_or_checkpoint(members, tmp_path):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    assert isinstance(load(tmp_path / "e"), Ensemble)
    np.testing.assert_array_equal(load(members[1].folder)(INPUTS), members[1].predictor(INPUTS))


def test_an_ensemble_can_be_saved_over_itself(members, tmp_path):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    before = Ensemble.load(tmp_path / "e")(INPUTS)
    Ensemble.load(tmp_path / "e").save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), before)
    assert not list(tmp_path.glob(".e-*"))


def test_the_earlier_ensemble_comes_back_when_the_new_one_cannot_take_its_place(members, tmp_path):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "e") as fresh:
        fresh.rmdir()
    assert Ensemble.load(tmp_path / "e").method == "simplex"


def test_a_folder_that_holds_something_else_is_not_replaced(members, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"meow")
    with pytest.raises(FileExistsError, match="photos exists and is not an ensemble"):
        Ensemble(members, RULE, "simplex").save(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.png").read_bytes() == b"meow"


def test_a_save_that_fails_leaves_the_earlier_ensemble_whole(members, tmp_path):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    before = Ensemble.load(tmp_path / "e")(INPUTS)
    (members[2].folder / "settings.json").unlink()
    with pytest.raises(FileNotFoundError):
        Ensemble(members[::-1], RULE, "mean").save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), before)
    assert not list(tmp_path.glob(".e-*"))


def test_a_flipped_byte_in_a_member_is_named(members, tmp_path):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    path = tmp_path / "e" / "members" / "01" / "settings.json"
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    with pytest.raises(CheckpointDamaged, match=r"members/01/settings\.json"):
        Ensemble.load(tmp_path / "e")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["rule"]["settings"].update(weights=[0.5, 0.6]), "sum to one"),
        (lambda content: content["rule"]["settings"].update(weights=["much", 0]), "could not convert"),
        (lambda content: content["rule"]["settings"].pop("weights"), "whole; KeyError: 'weights'"),
        (lambda content: content["rule"]["settings"].update(weights=[1.0]), "a rule over 2 members"),
        (lambda content: content["rule"].update(kind="os:system"), "one of the kinds weights.* got 'os:system'"),
        (lambda content: content.pop("rule"), "one of the kinds weights.* got None"),
        (lambda content: content.update(rule_digest="0"), "rule.safetensors is damaged"),
        (lambda content: content["members"][0].update(folder="../trial0"), "members inside"),
        (lambda content: content["members"][0].pop("folder"), "a folder or a reference each"),
        (lambda content: content["members"].clear(), "at least one member"),
        (lambda content: content.update(version=1), "expected version 2, got 1"),
    ],
)
def test_an_ensemble_file_that_says_something_else_is_refused(members, tmp_path, change, message):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    edit(tmp_path / "e", change)
    with pytest.raises(CheckpointError, match=message):
        Ensemble.load(tmp_path / "e")


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-1]), lambda path: path.unlink()])
def test_a_rule_whose_file_is_not_whole_is_never_used(members, tmp_path, damage):
    Ensemble(members, RULE, "simplex").save(tmp_path / "e")
    damage(tmp_path / "e" / "rule.safetensors")
    with pytest.raises(CheckpointDamaged, match=r"rule\.safetensors"):
        Ensemble.load(tmp_path / "e")


def test_arrays_of_a_rule_are_stored_by_their_values_not_by_their_memory(members, tmp_path):
    coefficients = np.random.default_rng(0).normal(size=(3, 3, 3)).transpose(2, 0, 1)
    rule = Linear(coefficients, np.zeros(3), "colours")
    assert not rule.coefficients.flags["C_CONTIGUOUS"]
    ensemble = Ensemble(members, rule, "ridge")
    ensemble.save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), ensemble(INPUTS))


def test_members_by_reference_stay_where_they_are_and_are_checked(tiny, members, tmp_path):
    ensemble = Ensemble(members, RULE, "simplex")
    ensemble.save(tmp_path / "e", by_reference=True)
    assert not (tmp_path / "e" / "members").exists()
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), ensemble(INPUTS))
    for path in members[2].folder.iterdir():
        path.unlink()
    members[2].folder.rmdir()
    with pytest.raises(CheckpointDamaged, match="does not exist"):
        Ensemble.load(tmp_path / "e")
    tiny.write_checkpoint(members[2].folder, seed=77)
    with pytest.raises(CheckpointDamaged, match="holds another checkpoint now"):
        Ensemble.load(tmp_path / "e")


def test_a_member_may_come_with_its_flips_averaged(members, tmp_path):
    flipped = [replace(member, predictor=Flipped(member.predictor), flip=True) for member in members]
    ensemble = Ensemble(flipped, RULE, "simplex_flips")
    assert np.abs(ensemble(INPUTS) - Ensemble(members, RULE, "simplex")(INPUTS)).max() > 1e-3
    ensemble.save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(INPUTS), ensemble(INPUTS))


def test_a_rule_over_other_numbers_of_members_and_names_taken_are_refused(members):
    with pytest.raises(ValueError, match="a rule over 2 members, at least one; got one over 3"):
        Ensemble(members[:2], RULE, "mean")
    with pytest.raises(ValueError, match="a rule over 0 members, at least one; got one over 3"):
        Ensemble([], RULE, "mean")
    with pytest.raises(ValueError, match=r"names of their own, got \['members'\]"):
        Ensemble(members, RULE, "mean", {"members": 3})


def test_a_member_that_fails_on_new_inputs_is_named(tiny, members, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "nan", seed=9, mode="nan")
    both = [members[0], Member(load_predictor(folder), folder)]
    with pytest.raises(BadPredictions, match="Member 1: expected finite predictions"):
        Ensemble(both, Weighted(np.full(2, 0.5)), "mean")(INPUTS)


def test_members_of_one_architecture_may_run_as_one_pass(torch_tiny, tmp_path):
    made = []
    for seed in range(3):
        torch_tiny.make(seed).save(tmp_path / f"t{seed}")
        made.append(Member(load_predictor(tmp_path / f"t{seed}"), tmp_path / f"t{seed}"))
    ensemble = Ensemble(made, RULE, "simplex")
    inputs = next(iter(ensemble.batches("val"))).inputs
    quick = ensemble.quickened(inputs)
    np.testing.assert_allclose(quick(inputs), ensemble(inputs), atol=1e-5)
    quick.save(tmp_path / "e")
    np.testing.assert_array_equal(Ensemble.load(tmp_path / "e")(inputs), ensemble(inputs))
