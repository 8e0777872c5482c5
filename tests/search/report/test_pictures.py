"""Pictures of a report: small, within a budget, and calm about what is no picture; the strips of drawings."""

import base64
import io
import re
import struct
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from PIL import Image

from search.report.sections.pictures import pictures
from search.report.tables.ensemble import examples
from search.report.tables.gallery import strip
from search.report.tables.snapshot import snapshot
from search.report.webp import fitted


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(24)


def picture(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(stream, kind)
    return stream.getvalue()


def noise(seed, side=300):
    return picture(np.random.default_rng(seed).integers(0, 256, (side, side, 3)))


def pixels(uri):
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def images(html):
    return re.findall(r'<img src="([^"]+)" alt="([^"]*)"', html)


def bomb():
    """A PNG of a few bytes that claims to be 50,000 pixels wide and high."""
    claimed = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", claimed), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_flat_drawing_is_kept_exactly_and_smaller():
    flat = np.zeros((64, 64, 3), np.uint8)
    flat[10:40, 5:50] = (213, 119, 10)
    data = picture(flat)
    held = fitted([[data]])

    np.testing.assert_array_equal(pixels(held.uris[data]), flat)
    assert len(held.uris[data]) < 4 / 3 * len(data) + 30


def test_a_large_picture_is_made_as_large_as_it_is_shown():
    data = noise(0, 1000)

    assert pixels(fitted([[data]]).uris[data]).shape == (384, 384, 3)


def test_pictures_that_pass_the_budget_lose_quality_before_any_is_left_out():
    groups = [[noise(2 * n), noise(2 * n + 1)] for n in range(4)]
    whole = fitted(groups, budget=10**9)
    size = sum(map(len, whole.uris.values()))
    held = fitted(groups, budget=int(0.8 * size))

    assert held.kept == whole.kept == 4
    assert sum(map(len, held.uris.values())) <= 0.8 * size


def test_where_even_poor_pictures_are_too_much_the_last_are_left_out():
    groups = [[noise(n)] for n in range(6)]
    poor = fitted(groups, budget=1).uris
    budget = sum(len(poor[data]) for data in (noise(0), noise(1), noise(2)))

    assert fitted(groups, budget=1).kept == 0
    assert fitted(groups, budget=budget).kept == 3
    assert fitted([*groups[:3], [], groups[3]], budget=budget).kept == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<svg onload=alert(1)>",
        noise(2)[:-2000],
        bomb(),
        picture(np.zeros((5000, 5000, 3), np.uint8)),
    ],
    ids=["nothing", "a beginning", "markup", "cut short", "bomb", "too large"],
)
def test_what_is_no_picture_is_none(data):
    good = noise(1)

    assert set(fitted([[data, good]]).uris) == {good}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_pictures_of_other_formats_are_pictures(kind):
    data = picture(np.full((20, 20, 3), 90), kind)

    assert abs(pixels(fitted([[data]]).uris[data]).astype(int) - 90).max() < 4


def test_the_page_shows_each_picture_with_its_name(run):
    html = pictures(snapshot(run), "huetune ensemble runs/x")

    assert len(images(html)) == len(run.pictures) + len(run.gallery) + 6
    shown = {alt: uri for uri, alt in images(html)}
    first = run.pictures.iloc[0]
    original = np.asarray(Image.open(io.BytesIO(first["image"]["bytes"]))).astype(int)
    assert np.abs(pixels(shown["drawing-000: line"]) - original).mean() < 4


def test_the_strip_of_trials_links_to_each_and_tells_both_scores(run):
    snap = snapshot(run)
    html = pictures(snap, "")
    strip_of_trials = html[html.index("over the trials") : html.index("over the iterations")]
    best = snap.trial(snap.best)

    assert f'<a href="#trial-{best["number"]}" class="trial-link">' in strip_of_trials
    assert f"{best['score']:.2f}" in strip_of_trials
    assert "on validation, by which they are ranked" in strip_of_trials
    assert f'alt="drawing-001: trial {best["number"]}"' in strip_of_trials
    assert strip_of_trials.count("<tr>") == 1 + 3


def test_a_strip_keeps_the_order_of_its_file_and_finds_scores_on_validation(run):
    snap = snapshot(run)
    shown = examples(snap)
    over_trials, over_iterations = strip(snap, "trials", shown), strip(snap, "iterations", shown)

    scores = [stop.score for stop in over_trials.stops]
    assert scores == sorted(scores, reverse=True)
    assert [stop.iteration for stop in over_iterations.stops] == [3, 6, 9, 12]
    curve = snap.curve(snap.best).set_index("iteration")["value"]
    assert [stop.score for stop in over_iterations.stops] == [curve[i] for i in (3, 6, 9, 12)]
    assert over_trials.rows[0].truth == shown[0].images["truth"]
    assert over_trials.rows[0].scores[0] == 20.0


def test_one_checkpoint_makes_no_strip(run):
    alone = run.gallery.drop_duplicates(["strip", "example"])
    html = pictures(snapshot(replace(run, gallery=alone)), "")

    assert "The same drawings" not in html
    assert len(images(html)) == len(run.pictures)


def test_a_trial_that_could_not_draw_one_picture_has_a_gap_there(run):
    gappy = run.gallery.drop(index=1)
    html = pictures(snapshot(replace(run, gallery=gappy)), "")

    assert html.count("no picture") == 1


@pytest.mark.parametrize(
    "gallery",
    [None, pd.DataFrame(), pd.DataFrame({"strip": ["trials"], "image": [None]})],
    ids=["none", "empty", "other columns"],
)
def test_an_older_ensemble_without_strips_shows_its_examples(run, gallery):
    html = pictures(snapshot(replace(run, gallery=gallery)), "")

    assert len(images(html)) == len(run.pictures)


def test_strips_of_trials_and_drawings_nobody_knows_are_safe(run):
    evil = "<script>alert(1)</script>"
    gallery = run.gallery.assign(trial_id=run.gallery["trial_id"] + evil, example=evil, score=np.nan)
    html = pictures(snapshot(replace(run, gallery=gallery)), "")

    assert "<script>" not in html
    assert ">nan" not in re.sub(r'src="[^"]*"', "", html)


def test_examples_beyond_the_budget_are_counted_and_the_first_ones_stay(run):
    html = pictures(snapshot(run), "", budget=12_000)
    shown = {alt.split(":")[0] for _, alt in images(html)}

    assert 0 < len(shown) < 8
    assert f"{8 - len(shown)} more examples are left out" in html
    assert sum(len(uri) for uri, _ in images(html)) <= 12_000
