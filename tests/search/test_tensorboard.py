"""A run as event files: read back by their definition, they hold what `Results` holds, once, however often they are
written and wherever a write was cut short."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.fs
import pytest
import typer
from event_files import grown, made, put, read, same
from moto.server import ThreadedMotoServer
from ray import tune
from typer.testing import CliRunner

from search import Random, Results, Search
from search.errors import RunError
from search.report import watch
from search.tensorboard import EventFiles
from search.tensorboard_command import tensorboard


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*tfevents*")}


def command(*arguments: object) -> Any:
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command()(tensorboard)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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
