"""Event files as TensorBoard would find them, and runs that they are written of."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

from search import Results


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


def put(run: runs.SyntheticRun, folder: Path) -> Results:
    shutil.rmtree(folder, ignore_errors=True)
    return Results(runs.write_run(run, folder))


def grown(run: runs.SyntheticRun, trials: int, reports: int) -> runs.SyntheticRun:
    """The run at a moment when its last trial was under way."""
    table = run.trials.head(trials).copy()
    last = table.index[-1]
    table.loc[last, ["status", "ended", "score"]] = ["running", pd.NaT, np.nan]
    measured = run.measured[run.measured["trial_id"].isin(table["trial_id"])]
    late = (measured["trial_id"] == table.at[last, "trial_id"]) & (measured["iteration"] > reports)
    definition = run.definition | {"status": "running", "ended": None}
    return replace(run, trials=table, measured=measured[~late], definition=definition)


def same(found: list[tuple[int, float, float]], rows: pd.DataFrame, name: str) -> None:
    wanted = rows[rows[name].notna() | (name == "psnr")]
    assert [step for step, _, _ in found] == wanted["iteration"].tolist()
    assert [wall for _, wall, _ in found] == pytest.approx([at.timestamp() for at in wanted["time"]], abs=1e-5)
    values = [value for _, _, value in found]
    np.testing.assert_array_equal(np.float32(values), wanted[name].to_numpy(np.float32))
