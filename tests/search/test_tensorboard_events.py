"""What an event file says: steps, histograms, words, hyperparameters, scores, each under its own name."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from crc32c import crc32c
from event_files import Read, grown, made, put, read, same
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.crc32c import _crc32c as slow_crc32c
from tensorboardX.record_writer import masked_crc32c

from search.tensorboard import EventFiles
from search.tensorboard_events import _checksum, _histogram

PLAIN = ("psnr", "mse", "ssim", "ciede2000")


def told_of(folder: Path, columns: dict[str, list[Any]], metric: str = "psnr") -> Read:
    """The only trial of a run that reports these, a cell a report; None where a report has none."""
    run = made(1, metric=metric)
    count = len(next(iter(columns.values())))
    own = {
        "trial_id": run.trials.at[0, "trial_id"],
        "iteration": range(1, count + 1),
        "seconds": 1.0,
        "time": pd.Timestamp("2026-03-01", tz="UTC"),
    }
    EventFiles(put(replace(run, measured=pd.DataFrame(own | columns)), folder / "run"), folder / "out").write()
    return read(folder / "out" / "trial-00001")


def test_every_report_is_a_step_under_its_own_names_and_at_its_own_time(tmp_path: Path) -> None:
    results = put(made(), tmp_path / "run")
    written = EventFiles(results, tmp_path / "out").write()

    assert (written.trials, written.changed) == (30, 31)
    measured = results.measurements()
    for row in results.table().to_dict("records"):
        found = read(tmp_path / "out" / f"trial-{row['number']:05d}")
        own = measured[measured["trial_id"] == row["trial_id"]]
        names = {*PLAIN, "layers/gradient/g.down.0", "d_real_acc", "baseline/gray/psnr", "done"}
        if len(own) == 1:
            names -= {name for name in names if own[name].isna().all() and name != "psnr"}
        assert found.scalars.keys() - {"trial/score"} == names
        for name in names:
            same(found.scalars[name], own, name)
        if row["status"] == "failed":
            assert "trial/score" not in found.scalars
        else:
            assert np.float32(row["score"]) == np.float32(found.scalars["trial/score"][-1][2])
            assert len(found.scalars["trial/score"]) == len(own)


def test_quantiles_are_one_histogram_with_the_shares_between_them(tmp_path: Path) -> None:
    quantiles = {"100": [9.0, 8.0], "00": [-4.0, -3.0], "05": [-1.0, -1.0], "25": [0.5, -1.0], "95": [2.0, 3.0]}
    columns = {f"layers/weight_q{share}/g.down.0": cells for share, cells in quantiles.items()}
    found = told_of(tmp_path, columns | {"error_q10": [1, 2], "error_q75": [3, 4]})

    first, second = found.histograms["layers/weight/g.down.0"].values()
    np.testing.assert_allclose(first, [[-4, -1, 0.05], [-1, 0.5, 0.2], [0.5, 2, 0.7], [2, 9, 0.05]])
    np.testing.assert_allclose(second, [[-3, -1, 0.05], [-1, -1, 0.2], [-1, 3, 0.7], [3, 8, 0.05]])
    np.testing.assert_allclose(list(found.histograms["error"].values()), [[[1, 3, 0.65]], [[2, 4, 0.65]]])
    assert not [name for name in found.scalars if "_q" in name]


def test_what_makes_no_histogram_stays_scalars(tmp_path: Path) -> None:
    others = ("alone_q50", "much_q101", "much_q5", "taken", "taken_q05", "taken_q95")
    quantiles = {"a_q05": [1.0, -math.inf, 4.0, None], "a_q50": [2.0, 2.0, 3.0, 2.0]}
    words = {"word_q05": ["high"] * 4, "word_q95": ["low"] * 4}
    found = told_of(tmp_path, quantiles | words | {name: [1.0] * 4 for name in others})
    assert {tag: list(steps) for tag, steps in found.histograms.items()} == {"a": [1]}
    told = {name: [(step, value) for step, _, value in values] for name, values in found.scalars.items()}
    assert told["a_q05"] == [(2, -math.inf), (3, 4.0)]
    assert told["a_q50"] == [(2, 2.0), (3, 3.0), (4, 2.0)]
    assert all(len(told[name]) == 4 for name in others)
    assert found.texts["word_q95"] == [(1, "low")]


def test_quantiles_that_a_trial_does_not_report_are_passed_over(tmp_path: Path) -> None:
    quantiles = {"a_q00": [None, 0.0], "a_q05": [1.0, 1.0], "a_q50": [None, None], "a_q95": [2.0, 2.0]}
    # The column `a` is of other trials; here the name is free.
    found = told_of(tmp_path, quantiles | {"a": [math.nan, math.nan]})
    assert {step: buckets.tolist() for step, buckets in found.histograms["a"].items()} == {
        1: [[1.0, 2.0, 0.9]],
        2: [[0.0, 1.0, 0.05], [1.0, 2.0, 0.9]],
    }


def test_a_metric_that_is_a_quantile_is_a_scalar_too(tmp_path: Path) -> None:
    found = told_of(tmp_path, {"error_q50": [2.0, math.nan], "error_q95": [3.0, 4.0]}, metric="error_q50")
    np.testing.assert_array_equal([value for _, _, value in found.scalars["error_q50"]], [2.0, math.nan])
    assert {step: buckets.tolist() for step, buckets in found.histograms["error"].items()} == {1: [[2.0, 3.0, 0.45]]}
    assert [step for step, _, _ in found.scalars["error_q95"]] == [2]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)


@given(st.dictionaries(st.integers(0, 100), st.none() | NUMBERS, max_size=9), st.booleans())
def test_the_buckets_of_a_histogram_join_and_hold_the_share_between_its_ends(
    drawn: dict[int, float | None], in_order: bool
) -> None:
    known = {share: drawn[share] for share in sorted(drawn) if drawn[share] is not None}
    if in_order:
        known = dict(zip(known, sorted(known.values()), strict=True))
    value = _histogram("x", drawn | known)
    edges = list(known.values())
    assert (value is None) == (len(edges) < 2 or any(left > right for left, right in pairwise(edges)))
    if value is not None:
        left, right, counts = np.array(value.tensor.double_val).reshape(-1, 3).T
        assert [*left, right[-1]] == edges
        assert right[:-1].tolist() == left[1:].tolist()
        assert min(counts) > 0
        assert sum(counts) == pytest.approx((max(known) - min(known)) / 100)


def test_words_are_told_where_they_change_and_how_a_trial_ended_last(tmp_path: Path) -> None:
    run = made()
    EventFiles(put(run, tmp_path / "run"), tmp_path / "out").write()

    whole = run.trials[run.trials["status"] == "finished"].iloc[0]
    texts = read(tmp_path / "out" / f"trial-{whole['number']:05d}").texts
    assert texts == {
        "verdict": [(1, ""), (4, "overfits: validation 1.8 x train")],
        "trial/status": [(6, "finished")],
    }
    failed = run.trials[run.trials["status"] == "failed"].iloc[0]
    ((_, told),) = read(tmp_path / "out" / f"trial-{failed['number']:05d}").texts["trial/status"]
    assert told == f"failed\n\n{failed['error']}"


def test_configurations_are_hyperparameters_of_their_kinds(tmp_path: Path) -> None:
    run = made()
    EventFiles(put(run, tmp_path / "run"), tmp_path / "out").write()

    (about,) = read(tmp_path / "out").hparams.values()
    kinds = {info.name: info.type for info in about.hparam_infos}
    assert kinds == {"adam/betas": 1, "channels": 3, "dropout": 3, "hints": 2, "lr_g": 3, "norm": 1, "warmup": 3}
    assert [info.name.tag for info in about.metric_infos] == ["trial/score", "psnr"]

    for row in run.trials.to_dict("records"):
        found = read(tmp_path / "out" / f"trial-{row['number']:05d}").hparams
        start, end = (found[f"_hparams_/session_{part}_info"] for part in ("start", "end"))
        config = json.loads(row["config"])
        told = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
        texts = {"adam/betas": json.dumps(config["adam/betas"]), "norm": config["norm"] or "null"}
        assert told == {name: value for name, value in config.items() if value is not None} | texts
        assert start.start_time_secs == row["started"].timestamp()
        assert end.status == (2 if row["status"] == "failed" else 1)


def test_a_trial_that_fails_has_no_score(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    assert run.trials.at[6, "status"] == "failed"
    EventFiles(put(grown(run, 7, 1), tmp_path / "run"), out).write()
    assert "trial/score" in read(out / "trial-00007").scalars
    EventFiles(put(run, tmp_path / "run"), out).write()
    assert "trial/score" not in read(out / "trial-00007").scalars


@pytest.mark.parametrize(("mode", "rule"), [("min", "best"), ("max", "best"), ("max", "last")])
def test_the_score_is_what_the_trial_counts_by(tmp_path: Path, mode: str, rule: str) -> None:
    run = made(mode=mode, score=rule)
    EventFiles(put(run, tmp_path / "run"), tmp_path / "out").write()
    row = run.trials[run.trials["status"] == "finished"].iloc[2]
    found = read(tmp_path / "out" / f"trial-{row['number']:05d}").scalars
    values = [value if np.isfinite(value) else None for _, _, value in found["psnr"]]
    counted = []
    for value in values:
        known = [value] if value is not None else []
        earlier = counted[-1:]
        counted += known if rule == "last" and known else [(min if mode == "min" else max)(known + earlier)]
    assert [value for _, _, value in found["trial/score"]] == counted


def test_a_run_without_trials_or_reports_has_its_page_of_hyperparameters(tmp_path: Path) -> None:
    run = made()
    none = replace(run, trials=run.trials.head(0), measured=run.measured.head(0))
    assert EventFiles(put(none, tmp_path / "run"), tmp_path / "out").write().changed == 1
    results = put(grown(run, 1, 0), tmp_path / "run")
    shutil.rmtree(Path(results.folder.measurements))
    EventFiles(results, tmp_path / "out").write()
    assert read(tmp_path / "out" / "trial-00001").scalars == {}


@given(st.binary(max_size=10_000))
def test_checksums_are_those_of_the_format(data: bytes) -> None:
    assert crc32c(data) == slow_crc32c(data)
    assert _checksum(data) == masked_crc32c(data).to_bytes(4, "little")
