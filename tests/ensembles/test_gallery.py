"""The same drawings as several checkpoints colour them."""

import io
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ensembles import Candidate, Exhibit, build, load_predictor
from ensembles.account.gallery import draw_gallery, write_gallery


@pytest.fixture
def exhibit(tiny, tmp_path):
    def make(name, strip="trials", iteration=5, **settings):
        folder = tiny.write_checkpoint(tmp_path / name, **settings)
        return Exhibit(strip, name, iteration, partial(nullcontext, folder))

    return make


@pytest.fixture
def judge(tiny):
    return tiny.TinyPredictor(0, 0, "", tiny.SIZES)


def test_every_checkpoint_draws_the_same_examples_in_the_order_given(exhibit, judge, tmp_path):
    rows = draw_gallery(judge, [exhibit("a", seed=1), exhibit("b", "iterations", 2, seed=2)], [20, 3, 11, 0], most=3)
    table = pd.DataFrame(rows)

    assert table["trial_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["strip"].tolist() == ["trials"] * 3 + ["iterations"] * 3
    assert table["iteration"].tolist() == [5] * 3 + [2] * 3
    names = table["example"].tolist()
    assert names[:3] == names[3:]
    assert set(names) < {"test-0", "test-3", "test-11", "test-20"}
    positions = [int(name.split("-")[1]) for name in names[:3]]
    assert positions == sorted(positions)


def test_a_picture_and_its_score_are_those_of_the_checkpoint(exhibit, judge, tmp_path):
    (row,) = draw_gallery(judge, [exhibit("a", seed=1)], [7], most=3)
    predictor = load_predictor(tmp_path / "a")
    batch = next(batch for batch in judge.batches("test") if "test-7" in batch.names)
    index = batch.names.index("test-7")
    values = predictor(batch.inputs[index : index + 1])

    drawn = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
    np.testing.assert_array_equal(drawn, judge.picture(values[0]))
    assert row["score"] == judge.scores(values, batch.targets[index : index + 1])["psnr"][0]


def test_drawings_with_colour_are_preferred_to_white_ones(exhibit, judge):
    truths = [target for batch in judge.batches("test") for target in batch.targets]
    colours = [np.ptp(judge.picture(target).astype(int), axis=2).mean() for target in truths[:10]]
    shown = {row["example"] for row in draw_gallery(judge, [exhibit("a", seed=1)], range(10), most=2)}

    assert shown == {f"test-{position}" for position in np.argsort(colours)[-2:]}


@pytest.mark.parametrize("mode", ["nan", "raise", "shape", "unloadable"])
def test_a_checkpoint_that_fails_is_left_out_alone(exhibit, judge, mode):
    rows = draw_gallery(judge, [exhibit("bad", seed=1, mode=mode), exhibit("good", seed=2)], [0, 1])

    assert {row["trial_id"] for row in rows} == {"good"}


def test_a_checkpoint_that_is_gone_is_left_out(exhibit, judge, tmp_path):
    def lost():
        raise FileNotFoundError("the bucket holds it no more")

    gone = Exhibit("trials", "gone", 1, partial(nullcontext, tmp_path / "nowhere"))
    rows = draw_gallery(judge, [gone, Exhibit("trials", "lost", 1, lost), exhibit("good", seed=2)], [0])

    assert [row["trial_id"] for row in rows] == ["good"]


def test_a_fetched_checkpoint_is_given_back_before_the_next_comes(tiny, judge, tmp_path):
    log = []

    @contextmanager
    def fetch(name):
        log.append(f"{name} comes")
        yield tiny.write_checkpoint(tmp_path / name, seed=1)
        log.append(f"{name} goes")

    draw_gallery(judge, [Exhibit("trials", name, 1, partial(fetch, name)) for name in "ab"], [0])
    assert log == ["a comes", "a goes", "b comes", "b goes"]


def test_no_more_of_the_test_split_is_read_than_is_shown(exhibit, tiny):
    asked = []

    class Counted(tiny.TinyPredictor):
        def batches(self, split):
            for batch in super().batches(split):
                asked.append(batch.names[0])
                yield batch

    draw_gallery(Counted(0, 0, "", tiny.SIZES), [exhibit("a", seed=1)], [0, 2])
    assert asked[:1] == ["test-0"]
    assert len(asked) <= 2


def test_a_build_keeps_the_gallery_of_the_drawings_that_its_pictures_show(exhibit, tmp_path):
    exhibits = [exhibit("a", seed=1), exhibit("b", seed=2)]
    candidates = [Candidate(tmp_path / name, name, 5, f"runs/x/{name}") for name in "ab"]
    build(candidates, tmp_path / "e", methods="mean", gallery=exhibits)
    gallery = pd.read_parquet(tmp_path / "e" / "gallery.parquet")
    shown = pd.read_parquet(tmp_path / "e" / "pictures.parquet")

    assert gallery.groupby("trial_id")["example"].nunique().to_dict() == {"a": 3, "b": 3}
    even = shown[shown["reason"] == "evenly spaced"]
    assert set(gallery["example"]) <= set(even["example"])
    single = shown[shown["kind"] == "best_single"].set_index("example")["score"]
    of_a = gallery[gallery["trial_id"] == "a"].set_index("example")["score"]
    np.testing.assert_allclose(of_a, single[of_a.index])


def test_without_exhibits_the_file_has_no_rows_and_test_is_not_read_again(judge, tmp_path):
    judge.batches = None
    write_gallery(tmp_path / "gallery.parquet", draw_gallery(judge, [], [0, 1]))
    table = pd.read_parquet(tmp_path / "gallery.parquet")

    assert len(table) == 0
    assert list(table) == ["strip", "trial_id", "iteration", "example", "score", "image"]


KILLED = """
import os, sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from ensembles import Candidate, Exhibit, build
folder = Path(sys.argv[1])
def stop(done, total, text):
    if text.startswith("pictures of"):
        os._exit(7)
gallery = [Exhibit("trials", "a", 1, partial(nullcontext, folder))]
build([Candidate(folder, "a", 1, "x")], Path(sys.argv[2]), methods="mean", gallery=gallery, progress=stop)
"""


def test_a_build_killed_while_it_draws_leaves_nothing_half_done(tiny, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=1)
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "e")]
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)

    assert ended.returncode == 7
    assert not Path(tmp_path / "e").exists()
