"""A run as event files: read back by their definition, they hold what `Results` holds, once, however often they are
written and wherever a write was cut short."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.fs
import pytest
import report_run as runs
import typer
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from ray import tune
from tensorboardX.crc32c import _crc32c as slow_crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c
from typer.testing import CliRunner

from search import Random, Results, Search
from search.errors import RunError
from search.report import watch
from search.tensorboard import EventFiles
from search.tensorboard_command import tensorboard
from search.tensorboard_events import _checksum, _histogram

PLAIN = ("psnr", "mse", "ssim", "ciede2000")


@dataclass
class Read:
    """What TensorBoard would find in a folder."""

    scalars: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)  # step, wall time, value
    texts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    histograms: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)  # step: rows of left, right, count
    hparams: dict[str, Any] = field(default_factory=dict)


def events(file: Path) -> Iterator[Event]:
    """The records of a file, each with its checksums; a rest that is no record fails."""
    content, at = file.read_bytes(), 0
    while at < len(content):
        header = content[at : at + 8]
        (length,) = struct.unpack("<Q", header)
        data = content[at + 12 : at + 12 + length]
        told = struct.unpack("<I", content[at + 8 : at + 12]) + struct.unpack("<I", content[at + 12 + length :][:4])
        assert told == (masked_crc32c(header), masked_crc32c(data))
        yield Event.FromString(data)
        at += 16 + length


def read(folder: Path) -> Read:
    found, (file,) = Read(), folder.glob("*tfevents*")
    first, *others = events(file)
    assert first.file_version == "brain.Event:2"
    for event in others:
        for value in event.summary.value:
            plugin = value.metadata.plugin_data
            if plugin.plugin_name == "hparams":
                data = HParamsPluginData.FromString(plugin.content)
                found.hparams[value.tag] = getattr(data, data.WhichOneof("data"))
            elif plugin.plugin_name == "text":
                text = value.tensor.string_val[0].decode()
                found.texts.setdefault(value.tag, []).append((event.step, text))
            elif plugin.plugin_name == "histograms":
                assert value.tensor.dtype == 2  # DT_DOUBLE
                shape = [one.size for one in value.tensor.tensor_shape.dim]
                buckets = np.array(value.tensor.double_val).reshape(shape)
                found.histograms.setdefault(value.tag, {})[event.step] = buckets
            else:
                found.scalars.setdefault(value.tag, []).append((event.step, event.wall_time, value.simple_value))
    return found


def made(trials: int = 30, **definition: Any) -> runs.SyntheticRun:
    """A run whose trials say more than numbers that all have: layers, verdicts, baselines."""
    run = runs.synthetic_run(trials, iterations=6, ensemble=False)
    measured = run.measured.copy()
    count = len(measured)
    measured["layers/gradient/g.down.0"] = np.random.default_rng(1).random(count)
    for share in (5, 50, 95):
        measured[f"layers/weight_q{share:02}/g.down.0"] = 0.01 * (share - 50) * np.arange(count)
    measured["d_real_acc"] = np.where(np.arange(count) % 2, 0.5, np.nan)
    measured["baseline/gray/psnr"] = 11.5
    measured["done"] = False
    measured["verdict"] = np.where(measured["iteration"] < 4, "", "overfits: validation 1.8 x train")
    return replace(run, measured=measured, definition=run.definition | definition)


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


def grown(run: runs.SyntheticRun, trials: int, reports: int) -> runs.SyntheticRun:
    """The run at a moment when its last trial was under way."""
    table = run.trials.head(trials).copy()
    last = table.index[-1]
    table.loc[last, ["status", "ended", "score"]] = ["running", pd.NaT, np.nan]
    measured = run.measured[run.measured["trial_id"].isin(table["trial_id"])]
    late = (measured["trial_id"] == table.at[last, "trial_id"]) & (measured["iteration"] > reports)
    definition = run.definition | {"status": "running", "ended": None}
    return replace(run, trials=table, measured=measured[~late], definition=definition)


def put(run: runs.SyntheticRun, folder: Path) -> Results:
    shutil.rmtree(folder, ignore_errors=True)
    return Results(runs.write_run(run, folder))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*tfevents*")}


def same(found: list[tuple[int, float, float]], rows: pd.DataFrame, name: str) -> None:
    wanted = rows[rows[name].notna() | (name == "psnr")]
    assert [step for step, _, _ in found] == wanted["iteration"].tolist()
    assert [wall for _, wall, _ in found] == pytest.approx([at.timestamp() for at in wanted["time"]], abs=1e-5)
    values = [value for _, _, value in found]
    np.testing.assert_array_equal(np.float32(values), wanted[name].to_numpy(np.float32))


def command(*arguments: object) -> Any:
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command()(tensorboard)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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


def test_what_a_run_adds_is_added_to_the_files_and_nothing_twice(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    moments = [grown(run, 3, 0), grown(run, 5, 2), grown(run, 5, 4), grown(run, 12, 1), run]
    before: dict[str, bytes] = {}
    for moment in moments:
        EventFiles(put(moment, tmp_path / "run"), out).write()
        now = content(out)
        assert before.keys() <= now.keys()
        assert all(now[name].startswith(old) for name, old in before.items())
        before = now

    EventFiles(put(run, tmp_path / "run"), tmp_path / "at once").write()
    assert before == content(tmp_path / "at once")
    assert EventFiles(put(run, tmp_path / "run"), out).write().changed == 0


def test_one_process_that_goes_on_writes_what_many_write(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    files = EventFiles(put(grown(run, 5, 2), tmp_path / "run"), out)
    changed = []
    for moment in (grown(run, 5, 2), grown(run, 5, 2), grown(run, 5, 4), grown(run, 8, 1), run):
        put(moment, tmp_path / "run")
        changed.append(files.write().changed)

    assert changed == [6, 0, 1, 4, 23]
    EventFiles(put(run, tmp_path / "run"), tmp_path / "at once").write()
    assert content(out) == content(tmp_path / "at once")


def test_the_order_in_which_measures_first_came_does_not_matter(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    EventFiles(put(run, tmp_path / "run"), out).write()
    turned = replace(run, measured=run.measured[run.measured.columns[::-1]])
    assert EventFiles(put(turned, tmp_path / "run"), out).write().changed == 0


def test_a_hyperparameter_that_turns_out_to_be_of_another_kind_is_so_in_all_trials(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    files = EventFiles(put(grown(run, 5, 2), tmp_path / "run"), out)
    files.write()
    later = run.trials.copy()
    later.at[9, "config"] = json.dumps(json.loads(later.at[9, "config"]) | {"channels": "many"})
    put(replace(run, trials=later), tmp_path / "run")
    files.write()

    kinds = [read(out / f"trial-{n:05d}").hparams["_hparams_/session_start_info"].hparams["channels"] for n in (1, 10)]
    assert [kind.WhichOneof("kind") for kind in kinds] == ["string_value"] * 2


@pytest.mark.parametrize("left", [0, 5, 100, -1, -30])
def test_a_file_that_was_cut_short_is_mended(tmp_path: Path, left: int) -> None:
    results, out = put(made(), tmp_path / "run"), tmp_path / "out"
    EventFiles(results, out).write()
    whole = content(out)
    (file,) = (out / "trial-00002").glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:left])
    (out / "trial-00002" / ".unfinished").write_bytes(b"of a process that was killed")

    assert EventFiles(results, out).write().changed == 1
    assert content(out) == whole


def test_a_trial_that_fails_has_no_score(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    assert run.trials.at[6, "status"] == "failed"
    EventFiles(put(grown(run, 7, 1), tmp_path / "run"), out).write()
    assert "trial/score" in read(out / "trial-00007").scalars
    EventFiles(put(run, tmp_path / "run"), out).write()
    assert "trial/score" not in read(out / "trial-00007").scalars


def test_reports_that_a_trial_has_taken_back_are_gone(tmp_path: Path) -> None:
    run, out = made(), tmp_path / "out"
    EventFiles(put(grown(run, 2, 5), tmp_path / "run"), out).write()
    (old,) = (out / "trial-00002").glob("*tfevents*")
    # It went back to its third report, and learned something else from there on.
    again = run.measured.copy()
    back = (again["trial_id"] == run.trials.at[1, "trial_id"]) & (again["iteration"] > 3)
    again.loc[back, "psnr"] += 1.0
    again.loc[back, "time"] += pd.Timedelta("1h")
    results = put(replace(run, measured=again), tmp_path / "run")
    EventFiles(results, out).write()

    (new,) = (out / "trial-00002").glob("*tfevents*")
    assert new.name > old.name
    same(read(out / "trial-00002").scalars["psnr"], again[again["trial_id"] == run.trials.at[1, "trial_id"]], "psnr")


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


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    results, out = put(made(), tmp_path / "run"), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds other files"):
        EventFiles(results, out).write()
    (out / "notes.txt").unlink()
    EventFiles(results, out).write()
    before = content(out)
    with pytest.raises(RunError, match="those of another are there"):
        EventFiles(put(made(name="other"), tmp_path / "other"), out).write()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="a file is there"):
        EventFiles(results, tmp_path / "file").write()
    assert content(out) == before


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    results, out = put(made(), tmp_path / "run"), tmp_path / "out"
    EventFiles(results, out).write()
    with (out / "huetune.json").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process does"):
            EventFiles(results, out).write()


@given(st.binary(max_size=10_000))
def test_checksums_are_those_of_the_format(data: bytes) -> None:
    assert crc32c(data) == slow_crc32c(data)
    assert _checksum(data) == masked_crc32c(data).to_bytes(4, "little")


def test_the_command_writes_into_the_run_and_says_what_to_type_next(tmp_path: Path) -> None:
    results = put(made(), tmp_path / "my run")
    told = command(tmp_path / "my run")
    assert told.exit_code == 0
    assert f"30 trials in {tmp_path}/my run/tensorboard, 31 files changed" in told.stdout
    assert f"next: tensorboard --logdir '{tmp_path}/my run/tensorboard'" in told.stdout
    assert len(content(tmp_path / "my run" / "tensorboard")) == 31
    assert len(Results(tmp_path / "my run").table()) == len(results.table())  # it is a run as before

    assert "0 files changed" in command(tmp_path / "my run").stdout
    assert "tensorboard --logdir RUN/tensorboard" in " ".join(command("--help").stdout.split())
    assert "found no search.json there" in command(tmp_path / "none").stderr


def test_the_command_follows_a_run_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()
    put(grown(run, 5, 2), tmp_path / "run")
    later = iter([grown(run, 9, 3), run])
    out = tmp_path / "out"

    def sleep(seconds: float) -> None:
        assert seconds == 7
        put(next(later), tmp_path / "run")

    monkeypatch.setattr(watch.watch, "__defaults__", (sleep,))
    told = command(tmp_path / "run", "-o", out, "--watch", 7)
    assert told.exit_code == 0, told.stderr
    assert "30 trials" in told.stdout
    assert len(content(out)) == 31
    EventFiles(Results(tmp_path / "run"), tmp_path / "at once").write()
    assert content(out) == content(tmp_path / "at once")


def test_a_run_in_a_bucket_needs_a_folder_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    results = put(made(), tmp_path / "run")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        bucket = f"s3://runs/a?endpoint_override=http%3A%2F%2F127.0.0.1%3A{port}&scheme=http&allow_bucket_creation=true"
        fs, root = pyarrow.fs.FileSystem.from_uri(bucket)
        fs.create_dir("runs")
        pyarrow.fs.copy_files(results.folder.root, root, destination_filesystem=fs)

        refused = command(bucket)
        assert refused.exit_code == 1
        assert "Name one with -o" in refused.stderr
        assert command(bucket, "-o", tmp_path / "out").exit_code == 0
    finally:
        server.stop()
    EventFiles(results, tmp_path / "at once").write()
    assert content(tmp_path / "out") == content(tmp_path / "at once")


def test_a_real_run_reads_as_it_was(cluster: None, tmp_path: Path) -> None:
    def learn(config: dict[str, Any]) -> None:  # in here, so that a worker need not import this file
        for step in range(3):
            tune.report({"loss": config["x"] / (step + 1), "verdict": "" if step else "hardly moves", "on": step > 0})

    search = Search(
        trainable=learn, space={"x": tune.uniform(1, 2)}, metric="loss", mode="min", method=Random(seed=3), trials=2
    )
    results = search.run(name="real", storage=str(tmp_path))
    EventFiles(results, tmp_path / "out").write()
    measured = results.measurements()
    for row in results.table().to_dict("records"):
        found, own = (
            read(tmp_path / "out" / f"trial-{row['number']:05d}"),
            measured[measured["trial_id"] == row["trial_id"]],
        )
        same(found.scalars["loss"], own, "loss")
        same(found.scalars["on"], own.astype({"on": float}), "on")
        assert np.float32(row["score"]) == np.float32(found.scalars["trial/score"][-1][2])
        assert found.texts == {"verdict": [(1, "hardly moves"), (2, "")], "trial/status": [(3, "finished")]}
        assert found.hparams["_hparams_/session_start_info"].hparams["x"].number_value == json.loads(row["config"])["x"]


def test_event_files_that_somebody_else_writes_in_the_folder_of_a_trial_stay(tmp_path: Path) -> None:
    results, out = put(made(), tmp_path / "run"), tmp_path / "out"
    EventFiles(results, out).write()
    other = out / "trial-00002" / "events.out.tfevents.1700000000.host.7.0"
    other.write_bytes(b"of another writer")
    assert EventFiles(results, out).write().changed == 0
    assert other.read_bytes() == b"of another writer"
