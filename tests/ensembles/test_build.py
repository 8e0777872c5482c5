import io
import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ensembles import Candidate, Ensemble, Limits, NoMembers, PredictionCache, load_predictor
from ensembles import build as build_any

PLAIN = ("best_single", "mean", "simplex", "simplex_log", "greedy")
TOLD_BY_CLOCK = ["ms_per_example", "memory_mib", "frontier"]


def build(candidates, output, methods=PLAIN, **settings):
    return build_any(candidates, output, methods=methods, **settings)


@pytest.fixture
def checkpoint(tiny, tmp_path):
    def make(name, **settings):
        folder = tiny.write_checkpoint(tmp_path / name, **settings)
        return Candidate(folder, name, 5, f"runs/x/{name}")

    return make


@pytest.fixture
def sizes(tmp_path):
    def write(**changes):
        (tmp_path / "sizes.json").write_text(json.dumps(changes))
        return tmp_path / "sizes.json"

    return write


def direct(predict, tiny, split="test"):
    judge = tiny.TinyPredictor(0, 0, "", tiny.SIZES)
    parts = [judge.scores(predict(batch.inputs), batch.targets) for batch in judge.batches(split)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_members_with_errors_apart_make_an_ensemble_that_is_surely_better(tiny, checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(4)]
    report = build(candidates, tmp_path / "ensemble")
    assert report.method in ("mean", "simplex", "simplex_log", "greedy")
    assert [item.trial_id for item in report.members] == ["t0", "t1", "t2", "t3"]
    table = pd.read_parquet(tmp_path / "ensemble" / "scores.parquet")
    pd.testing.assert_frame_equal(table, report.scores)
    assert table["method"].tolist() == list(PLAIN)
    assert table["ships"].tolist() == [method == report.method for method in table["method"]]
    rows = table.set_index("method")
    assert (rows.loc["best_single", ["gain_psnr", "gain_low", "gain_high"]] == 0).all()
    assert rows.loc["mean", "members"] == 4
    shipped = rows.loc[report.method]
    assert 0 < shipped["gain_low"] < shipped["gain_psnr"] < shipped["gain_high"]
    assert shipped["val_psnr"] == rows["val_psnr"].max()

    ensemble, single = Ensemble.load(tmp_path / "ensemble"), load_predictor(candidates[0].folder)
    found, best = direct(ensemble, tiny), direct(single, tiny)
    assert shipped["psnr"] == pytest.approx(found["psnr"].mean(), abs=1e-12)
    assert shipped["mse"] == pytest.approx(found["mse"].mean(), abs=1e-15)
    assert shipped["gain_psnr"] == pytest.approx((found["psnr"] - best["psnr"]).mean(), abs=1e-12)


def test_trivial_predictors_stand_beside_the_scores_and_never_ship(tiny, checkpoint, tmp_path):
    members = [checkpoint(f"t{number}", seed=number, mode="baselines") for number in range(3)]
    plain = [checkpoint(f"p{number}", seed=number) for number in range(3)]
    report, other = (build(of, tmp_path / f"of_{of[0].trial_id}") for of in (members, plain))
    *methods, beside = report.scores.to_dict("records")
    assert [row["method"] for row in methods] == list(PLAIN)
    assert [row["psnr"] for row in methods] == other.scores["psnr"].tolist()  # nothing else changes
    found = direct(tiny.cheat, tiny)["psnr"]
    single = direct(load_predictor(members[0].folder), tiny)["psnr"]
    assert (beside["method"], beside["members"], beside["ships"]) == ("baseline: cheat", 0, False)
    assert beside["psnr"] == pytest.approx(found.mean(), abs=1e-12)
    assert beside["gain_low"] < beside["gain_psnr"] < beside["gain_high"]
    assert beside["gain_psnr"] == pytest.approx((found - single).mean(), abs=1e-12)
    assert beside["psnr"] > max(row["psnr"] for row in methods)  # it would have shipped, were it a method
    assert not beside["frontier"]
    assert np.isnan([beside["val_psnr"], beside["ambiguity"], beside["ms_per_example"]]).all()


def test_the_files_say_what_was_built(checkpoint, tmp_path):
    good = [checkpoint("good", seed=1, scale=0.05), checkpoint("other", seed=2, scale=0.05)]
    report = build([*good, checkpoint("hopeless", seed=3, scale=2.0)], tmp_path / "ensemble", seed=7)
    content = json.loads((tmp_path / "ensemble" / "ensemble.json").read_text())
    assert content["format"] == "huetune-ensemble"
    assert content["method"] == report.method
    assert sum(content["rule"]["settings"]["weights"]) == pytest.approx(1)
    assert {member["trial_id"] for member in content["members"]} == {"good", "other"}  # none of weight zero
    assert sorted(os.listdir(tmp_path / "ensemble" / "members")) == ["00", "01"]
    assert content["methods"]["mean"]["members"][2] == {
        "trial_id": "hopeless",
        "iteration": 5,
        "flip": False,
        "weight": 1 / 3,
    }
    assert content["seed"] == 7
    correlation = pd.read_parquet(tmp_path / "ensemble" / "correlation.parquet")
    matrix = correlation.pivot_table(index="member_a", columns="member_b", values="correlation")
    assert matrix.shape == (3, 3)
    np.testing.assert_array_equal(np.diag(matrix), 1)
    np.testing.assert_array_equal(matrix, matrix.T)


def test_pictures_show_the_worst_and_a_spread_of_the_others(tiny, checkpoint, tmp_path):
    report = build([checkpoint("a", seed=1), checkpoint("b", seed=2)], tmp_path / "ensemble")
    table = pq.read_table(tmp_path / "ensemble" / "pictures.parquet").to_pandas()
    examples = table.drop_duplicates("example")
    assert (examples["reason"] == "evenly spaced").sum() == 6
    assert table.groupby("example")["kind"].agg(list).map(tuple).unique().tolist() == [
        ("line", "best_single", "ensemble", "truth")
    ]
    scores = direct(Ensemble.load(tmp_path / "ensemble"), tiny)["psnr"]
    worst = {f"test-{position}" for position in np.argsort(scores)[:4]}
    assert worst <= set(examples["example"])
    ensemble = Ensemble.load(report.folder)
    single = load_predictor(tmp_path / "a")
    own = {"ensemble": scores, "best_single": direct(single, tiny)["psnr"]}
    for row in table.itertuples():
        position = int(row.example.split("-")[1])
        expected = own[row.kind][position] if row.kind in own else np.nan
        assert row.score == pytest.approx(expected, abs=1e-9, nan_ok=True)
    for batch in ensemble.batches("test"):
        values = {"line": batch.inputs, "best_single": single(batch.inputs), "truth": batch.targets}
        values["ensemble"] = ensemble(batch.inputs)
        for row in table[table["example"].isin(batch.names)].itertuples():
            pixels = ensemble.picture(values[row.kind][batch.names.index(row.example)])
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row.image["bytes"]))), pixels)


def test_a_flipped_byte_and_every_other_failure_is_left_out_with_its_reason(checkpoint, tmp_path):
    damaged = checkpoint("damaged", seed=1)
    (damaged.folder / "settings.json").write_bytes(b'{"seed": 2, "scale": 0.5, "mode": ""}')
    gone = Candidate(tmp_path / "gone", "gone", 1, "runs/x/gone")
    bad = [
        damaged,
        gone,
        checkpoint("nan", seed=3, mode="nan"),
        checkpoint("unloadable", seed=4, mode="unloadable"),
        checkpoint("shape", seed=5, mode="shape"),
        checkpoint("raises", seed=6, mode="raise"),
        checkpoint("late", seed=7, mode="nan late"),
        checkpoint("bytes", seed=9, scale=100.0),
        checkpoint("stranger", seed=8, predictor="stranger"),
    ]
    good = [checkpoint("a", seed=11), checkpoint("b", seed=12)]
    report = build([*bad[:4], *good, *bad[4:]], tmp_path / "ensemble")
    assert [item.trial_id for item in report.members] == ["a", "b"]
    reasons = {item.candidate.trial_id: item.reason for item in report.set_aside}
    assert set(reasons) == {item.trial_id for item in bad}
    for trial, words in {
        "damaged": "settings.json is damaged: expected SHA-256",
        "gone": "does not exist",
        "nan": "expected finite predictions, got NaN or infinity in 1 of 420 values. (on the val split)",
        "unloadable": "KeyError: 'decoder.weight'",
        "shape": "expected predictions of shape (4, 3, 5, 7), got (4, 1, 5, 7)",
        "raises": "RuntimeError: mat1 and mat2 shapes",
        "late": "(on the test split)",
        "bytes": "expected colours in [-1, 1], got values as far as",
        "stranger": "names the predictor 'stranger'; known:",
    }.items():
        assert words in reasons[trial]
    content = json.loads((tmp_path / "ensemble" / "ensemble.json").read_text())
    assert [item["trial_id"] for item in content["set_aside"]] == list(reasons)
    assert content["set_aside"][0]["checkpoint"] == "runs/x/damaged"
    alone = build(good, tmp_path / "alone")
    left = report.scores.drop(columns=TOLD_BY_CLOCK)  # what failed leaves no trace in it
    pd.testing.assert_frame_equal(alone.scores.drop(columns=TOLD_BY_CLOCK), left)


def test_two_identical_members_count_once(checkpoint, tmp_path):
    report = build([checkpoint("a", seed=1), checkpoint("b", seed=1), checkpoint("c", seed=2)], tmp_path / "e")
    assert [item.trial_id for item in report.members] == ["a", "c"]
    assert report.set_aside[0].reason == "duplicate: the same files as a at iteration 5."


def test_no_usable_checkpoint_is_an_error_that_gives_every_reason(checkpoint, tmp_path):
    with pytest.raises(NoMembers, match=r"None of 2(.|\n)*KeyError(.|\n)*NaN") as caught:
        build([checkpoint("a", seed=1, mode="unloadable"), checkpoint("b", seed=2, mode="nan")], tmp_path / "e")
    assert len(caught.value.set_aside) == 2
    assert not (tmp_path / "e").exists()
    with pytest.raises(ValueError, match="at least one checkpoint"):
        build([], tmp_path / "e")


def test_one_member_is_an_ensemble_of_one(checkpoint, tmp_path):
    report = build([checkpoint("a", seed=1)], tmp_path / "e")
    assert report.method == "best_single"
    assert report.scores["method"].tolist() == ["best_single"]
    assert report.unsuited["mean"] == "there is one member alone, and nothing to weigh"
    assert Ensemble.load(tmp_path / "e").weights.tolist() == [1.0]


def test_the_best_single_model_ships_where_no_blend_beats_it_on_validation(checkpoint, tmp_path):
    twin = checkpoint("twin", seed=1, scale=0.6)  # the same errors, larger
    report = build([checkpoint("a", seed=1, scale=0.5), twin], tmp_path / "e")
    assert report.method == "best_single"
    assert "nothing has a better cross-fitted psnr on validation" in report.reason
    assert [member.trial_id for member in Ensemble.load(tmp_path / "e").members] == ["a"]


def test_the_test_split_chooses_nothing(checkpoint, sizes, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    one = build(candidates, tmp_path / "one", data=sizes(test=3))
    other = build(candidates, tmp_path / "other", data=sizes(test=17))
    assert one.method == other.method
    assert one.scores["val_psnr"].tolist() == other.scores["val_psnr"].tolist()
    chosen = [json.loads((tmp_path / name / "ensemble.json").read_text()) for name in ("one", "other")]
    assert chosen[0] == chosen[1]
    assert one.scores["psnr"].tolist() != other.scores["psnr"].tolist()


def test_a_validation_split_of_one_image_ships_the_best_single_model_and_says_why(checkpoint, sizes, tmp_path):
    candidates = [checkpoint("a", seed=1), checkpoint("b", seed=2)]
    report = build(candidates, tmp_path / "e", data=sizes(val=1))
    assert report.method == "best_single"
    assert "one group of examples" in report.reason
    assert report.scores["val_psnr"].isna().all()
    json.loads((tmp_path / "e" / "ensemble.json").read_text(), parse_constant=pytest.fail)  # NaN is not JSON


def test_the_best_checkpoint_supplies_the_data(checkpoint, tmp_path):
    candidates = [checkpoint("a", seed=1, sizes={"test": 2}), checkpoint("b", seed=2, sizes={"test": 9})]
    build(candidates, tmp_path / "e")
    pictures = pd.read_parquet(tmp_path / "e" / "pictures.parquet")
    assert set(pictures["example"]) == {"test-0", "test-1"}


def test_drawings_of_one_group_tell_no_interval(checkpoint, sizes, tmp_path):
    candidates = [checkpoint("a", seed=1), checkpoint("b", seed=2)]
    report = build(candidates, tmp_path / "e", data=sizes(val=60, test=20, per_group=20))
    assert report.method != "best_single"
    assert report.scores["gain_low"].isna().all()


@pytest.mark.parametrize(
    ("mode", "message"),
    [("no psnr", r"Expected scores to hold 'psnr', got \['mse'\]"), ("ragged", "got 4, 4, 4 and 3")],
)
def test_a_predictor_that_breaks_its_promises_is_told_which(checkpoint, tmp_path, mode, message):
    with pytest.raises(ValueError, match=message):
        build([checkpoint("a", seed=1, mode=mode)], tmp_path / "e")


def test_a_split_without_targets_is_named(tiny, checkpoint, tmp_path, monkeypatch):
    whole = tiny.TinyPredictor.batches
    monkeypatch.setattr(
        tiny.TinyPredictor, "batches", lambda self, split: (replace(b, targets=None) for b in whole(self, split))
    )
    with pytest.raises(ValueError, match="Expected targets in the val split, got none"):
        build([checkpoint("a", seed=1)], tmp_path / "e")


@pytest.mark.parametrize("split", ["val", "test"])
def test_an_empty_split_is_named(checkpoint, sizes, tmp_path, split):
    with pytest.raises(ValueError, match=f"The {split} split holds no example"):
        build([checkpoint("a", seed=1)], tmp_path / "e", data=sizes(**{split: 0}))


def test_a_build_gives_the_same_files_twice(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    for name in ("one", "two"):
        build(candidates, tmp_path / name, seed=3)
    tables = [pd.read_parquet(tmp_path / name / "scores.parquet") for name in ("one", "two")]
    pd.testing.assert_frame_equal(*(table.drop(columns=TOLD_BY_CLOCK) for table in tables))
    files = ("ensemble.json", "rule.safetensors", "differences.parquet", "sizes.parquet", "correlation.parquet")
    for name in (*files, "pictures.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_progress_counts_up_to_its_total(checkpoint, tmp_path):
    seen = []
    build(
        [checkpoint("a", seed=1), checkpoint("b", seed=2)],
        tmp_path / "e",
        progress=lambda done, total, text: seen.append((done, total, text)),
    )
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[0] == (0, 8, "loading a")
    assert (2, 8, "val split, 23 examples") in seen
    assert (3, 8, "fitting greedy") in seen
    assert seen[-1][1:] == (8, "done")
    assert seen[-1][0] <= 8


def test_memory_stays_flat_when_the_splits_grow_tenfold(checkpoint, sizes, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]

    def peak(examples):
        data = sizes(val=examples, test=examples, height=64, width=48, batch=8)
        tracemalloc.start()
        build(candidates, tmp_path / "e", data=data)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(16)  # what is imported on the way counts for neither
    small, large = peak(32), peak(320)  # 320 targets alone are 11.8 MB
    assert large < small + 1e6


INTERRUPTED = """
import os, sys
from pathlib import Path
from ensembles import Candidate, build
def stop(done, total, text):
    if text.startswith(sys.argv[3]):
        os._exit(7)
build([Candidate(Path(sys.argv[1]), "a", 1, "x")], Path(sys.argv[2]), methods="mean", progress=stop)
"""


@pytest.mark.parametrize("moment", ["val split", "pictures", "writing", "written"])
def test_a_build_that_is_killed_leaves_the_earlier_ensemble_whole(checkpoint, tiny, tmp_path, moment):
    report = build([checkpoint("a", seed=1), checkpoint("b", seed=2)], tmp_path / "e")
    before = {path: path.read_bytes() for path in (tmp_path / "e").rglob("*") if path.is_file()}
    other = checkpoint("other", seed=3)
    command = [sys.executable, "-c", INTERRUPTED, str(other.folder), str(tmp_path / "e"), moment]
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)
    assert ended.returncode == 7
    assert {path: path.read_bytes() for path in (tmp_path / "e").rglob("*") if path.is_file()} == before
    assert Ensemble.load(tmp_path / "e").method == report.method


def test_an_interrupted_build_cleans_up_after_itself(checkpoint, tmp_path):
    def interrupt(done, total, text):
        if text == "written":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([checkpoint("a", seed=1)], tmp_path / "e", progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "site"]


def test_a_later_build_replaces_an_earlier_one(checkpoint, tmp_path):
    build([checkpoint("a", seed=1)], tmp_path / "e")
    build([checkpoint("b", seed=2)], tmp_path / "e")
    assert [member.trial_id for member in Ensemble.load(tmp_path / "e").members] == ["b"]
    assert not list(tmp_path.glob(".e-*"))


def test_a_folder_of_something_else_is_refused_before_any_work(checkpoint, tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "notes.txt").write_text("mine")
    steps = []
    with pytest.raises(FileExistsError, match="not an ensemble"):
        build([checkpoint("a", seed=1)], tmp_path / "e", progress=lambda *step: steps.append(step))
    assert steps == []


def test_a_limit_on_members_holds_for_what_ships(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(5)]
    report = build(candidates, tmp_path / "e", limits=Limits(max_members=2))
    assert (report.scores["members"] <= 2).all()
    assert len(Ensemble.load(tmp_path / "e").members) == 2
    assert report.method != "best_single"


def test_a_limit_on_time_that_nothing_keeps_is_an_error_that_names_the_quickest(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"within max_members=None and max_ms=1e-06; the quickest, \w+, takes"):
        build([checkpoint("a", seed=1), checkpoint("b", seed=2)], tmp_path / "e", limits=Limits(max_ms=1e-6))


def test_flips_are_a_family_of_their_own(tiny, checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    report = build(candidates, tmp_path / "e", methods=["mean", "mean_flips", "best_single_flips"])
    assert report.scores["method"].tolist() == ["best_single", "mean", "mean_flips", "best_single_flips"]
    assert report.method == "mean_flips"  # errors of one pattern, mirrored, partly cancel
    found = direct(Ensemble.load(tmp_path / "e"), tiny)
    assert report.scores.set_index("method").loc["mean_flips", "psnr"] == pytest.approx(found["psnr"].mean(), abs=1e-9)


def test_no_prediction_is_made_twice(tiny, checkpoint, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tiny.TinyPredictor, "__call__", _counting(tiny.TinyPredictor.__call__, asked))
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    cache = PredictionCache(tmp_path / "cache")
    build(candidates, tmp_path / "one", cache=cache)
    assert cache.misses == 3 * (6 + 8)  # three members, 23 and 29 examples in batches of 4
    first, cache = _batches(asked), PredictionCache(tmp_path / "cache")
    report = build(candidates, tmp_path / "two", cache=cache)
    assert cache.misses == 0
    assert _batches(asked) - first == first - 3 * (6 + 7)  # what is left is asked for pictures
    assert (tmp_path / "one" / "ensemble.json").read_bytes() == (tmp_path / "two" / "ensemble.json").read_bytes()
    assert report.method != "best_single"


def _batches(asked):
    return sum(size > 1 for size in asked)  # costs are those of a single example


def _counting(call, asked):
    def counted(self, inputs):
        asked.append(len(inputs))
        return call(self, inputs)

    return counted


def test_what_does_not_apply_is_named_with_its_reason(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(2)]
    report = build(candidates, tmp_path / "e", methods=["confidence", "hard_votes", "mean_swa", "soups"])
    assert set(report.unsuited) == {"confidence", "hard_votes", "mean_swa", "soup"}
    assert "no trial has two checkpoints" in report.unsuited["mean_swa"]
    content = json.loads((tmp_path / "e" / "ensemble.json").read_text())
    assert content["unsuited"] == dict(report.unsuited)


def test_a_method_that_is_unknown_is_named_before_any_work(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"the name of a method, got 'simplx'. Did you mean 'simplex'\?"):
        build([checkpoint("a", seed=1)], tmp_path / "e", methods=["simplx"])


def test_tables_beside_the_scores_tell_differences_and_sizes(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(4)]
    report = build(candidates, tmp_path / "e")
    differences = pd.read_parquet(tmp_path / "e" / "differences.parquet").set_index(["method", "measure"])
    rows = report.scores.set_index("method")
    for method in PLAIN[1:]:
        told = differences.loc[(method, "psnr")]
        assert (told["difference"], told["low"], told["high"]) == pytest.approx(
            tuple(rows.loc[method, ["gain_psnr", "gain_low", "gain_high"]])
        )
        assert differences.loc[(method, "mse"), "high"] < 0
    sizes = pd.read_parquet(tmp_path / "e" / "sizes.parquet").set_index(["method", "members"])
    assert sizes.loc[("mean", 1), "gain"] == 0
    assert sizes.loc[("mean", 4), "psnr"] == pytest.approx(rows.loc["mean", "psnr"])
    assert sizes.loc["mean"].index.tolist() == [1, 2, 3, 4]


def test_the_ensemble_can_stay_with_its_members_by_reference(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    build(candidates, tmp_path / "e", by_reference=True)
    assert not (tmp_path / "e" / "members").exists()
    assert {member.folder for member in Ensemble.load(tmp_path / "e").members} == {c.folder for c in candidates}


def test_every_usual_method_that_applies_is_in_the_table(checkpoint, sizes, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    report = build(candidates, tmp_path / "e", methods="usual", data=sizes(height=16, width=16))
    told = {*report.scores["method"], *report.unsuited}
    assert {"bagged_greedy", "inverse_variance", "votes", "ridge", "vivid", "mean_flips", "best_single_swa"} <= told
    assert report.scores["method"].iloc[0] == "best_single"
    assert report.scores["ships"].sum() == 1


def test_what_is_asked_for_ships_and_says_so(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    report = build(candidates, tmp_path / "e", ship="best_single")
    assert report.method == "best_single"
    assert report.reason.startswith("asked for; validation would have chosen ")
    assert Ensemble.load(tmp_path / "e").method == "best_single"
    assert build(candidates, tmp_path / "f", methods=["mean"], ship="greedy_flips").method == "greedy_flips"
    with pytest.raises(ValueError, match=r"ship one of .*, got 'student', which is not among the methods"):
        build(candidates, tmp_path / "f", ship="student")
    with pytest.raises(ValueError, match="got 'confidence': "):
        build(candidates, tmp_path / "f", ship="confidence")
    with pytest.raises(ValueError, match=r"Did you mean .vivid.\?"):
        build(candidates, tmp_path / "f", ship="vivit")
