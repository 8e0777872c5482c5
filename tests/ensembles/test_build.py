import io
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ensembles import Candidate, Ensemble, NoMembers, build, load_predictor


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
    assert table["method"].tolist() == ["best_single", "mean", "simplex", "simplex_log", "greedy"]
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


def test_the_files_say_what_was_built(checkpoint, tmp_path):
    good = [checkpoint("good", seed=1), checkpoint("other", seed=2)]
    report = build([*good, checkpoint("hopeless", seed=3, scale=30.0)], tmp_path / "ensemble", seed=7)
    content = json.loads((tmp_path / "ensemble" / "ensemble.json").read_text())
    assert content["format"] == "huetune-ensemble"
    assert content["method"] == report.method
    assert sum(member["weight"] for member in content["members"]) == pytest.approx(1)
    assert {member["trial_id"] for member in content["members"]} == {"good", "other"}  # none of weight zero
    assert sorted(os.listdir(tmp_path / "ensemble" / "members")) == ["00", "01"]
    assert content["methods"]["mean"]["members"][2] == {
        "trial_id": "hopeless",
        "iteration": 5,
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
        "stranger": "names the predictor 'stranger'; known:",
    }.items():
        assert words in reasons[trial]
    content = json.loads((tmp_path / "ensemble" / "ensemble.json").read_text())
    assert [item["trial_id"] for item in content["set_aside"]] == list(reasons)
    assert content["set_aside"][0]["checkpoint"] == "runs/x/damaged"
    alone = build(good, tmp_path / "alone")
    pd.testing.assert_frame_equal(alone.scores, report.scores)  # what failed leaves no trace in what is left


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
    assert report.scores["psnr"].nunique() == 1
    assert Ensemble.load(tmp_path / "e").weights.tolist() == [1.0]


def test_the_best_single_model_ships_where_no_blend_beats_it_on_validation(checkpoint, tmp_path):
    twin = checkpoint("twin", seed=1, scale=0.6)  # the same errors, larger
    report = build([checkpoint("a", seed=1, scale=0.5), twin], tmp_path / "e")
    assert report.method == "best_single"
    assert "no blend has a better cross-fitted psnr on validation" in report.reason
    assert [member.trial_id for member in Ensemble.load(tmp_path / "e").members] == ["a"]


def test_the_test_split_chooses_nothing(checkpoint, sizes, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    one = build(candidates, tmp_path / "one", data=sizes(test=3))
    other = build(candidates, tmp_path / "other", data=sizes(test=17))
    assert one.method == other.method
    assert one.scores["val_psnr"].tolist() == other.scores["val_psnr"].tolist()
    for method, weights in one.weights.items():
        np.testing.assert_array_equal(weights, other.weights[method])
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


@pytest.mark.parametrize("split", ["val", "test"])
def test_an_empty_split_is_named(checkpoint, sizes, tmp_path, split):
    with pytest.raises(ValueError, match=f"The {split} split holds no example"):
        build([checkpoint("a", seed=1)], tmp_path / "e", data=sizes(**{split: 0}))


def test_a_build_gives_the_same_files_twice(checkpoint, tmp_path):
    candidates = [checkpoint(f"t{number}", seed=number) for number in range(3)]
    for name in ("one", "two"):
        build(candidates, tmp_path / name, seed=3)
    for name in ("ensemble.json", "scores.parquet", "correlation.parquet", "pictures.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_progress_counts_up_to_its_total(checkpoint, tmp_path):
    seen = []
    build(
        [checkpoint("a", seed=1), checkpoint("b", seed=2)],
        tmp_path / "e",
        progress=lambda done, total, text: seen.append((done, total, text)),
    )
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[0] == (0, 6, "loading a")
    assert (2, 6, "validation split, 23 examples") in seen
    assert seen[-1] == (6, 6, "done")


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
build([Candidate(Path(sys.argv[1]), "a", 1, "x")], Path(sys.argv[2]), progress=stop)
"""


@pytest.mark.parametrize("moment", ["validation", "pictures", "writing", "written"])
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
