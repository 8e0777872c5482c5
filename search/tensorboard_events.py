"""The records of TensorBoard's event files, of what a run holds: scalars, histograms, words, hyperparameters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from crc32c import crc32c
from tensorboardX.proto.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

from search.params import flatten
from search.running.ledger import ENDED, FAILED

SCORE, STATUS = "trial/score", "trial/status"
_COORDINATES = frozenset({"trial_id", "iteration", "seconds", "time", "node"})  # no measures of a training
_STRING, _BOOL, _NUMBER = 1, 2, 3  # DataType of TensorBoard's api.proto
_SUCCESS, _FAILURE = 1, 2  # Status, ibidem
_DT_DOUBLE, _DT_STRING = 2, 7  # DataType of TensorFlow's types.proto
_QUANTILE = re.compile(r"(?P<what>.+?)_q(?P<share>\d\d|100)(?P<where>/.+)?")


def experiment(definition: Mapping[str, Any], kinds: Mapping[str, int]) -> bytes:
    """The records that tell TensorBoard's page of hyperparameters what to show: these, the score and the metric."""
    metric = str(definition["metric"])
    counted = "last" if definition.get("score") == "last" else "best"
    told = Experiment(
        name=str(definition.get("name", "")),
        hparam_infos=[HParamInfo(name=name, type=kind) for name, kind in sorted(kinds.items())],
        metric_infos=[
            MetricInfo(name=MetricName(tag=SCORE), display_name=f"score: {counted} {metric}"),
            MetricInfo(name=MetricName(tag=metric)),
        ],
    )
    value = _hyperparameters("experiment", HParamsPluginData(experiment=told))
    return _version(0.0) + _record(Event(wall_time=0.0, summary=Summary(value=[value])))


def trial_events(
    definition: Mapping[str, Any], row: Mapping[str, Any], reports: pd.DataFrame, kinds: Mapping[str, int]
) -> bytes:
    """All records of one trial: its configuration, its reports in order, how it ended.

    Args:
        definition: of the run.
        row: of the trial, from `Results.table`.
        reports: from `Results.measurements`; numbers become scalars under the names they have, and words are told
            where they change. Quantiles, X_qNN/Y or X_qNN with NN in per cent, become one histogram X/Y or X where a
            report has two or more, unless that name is taken; what makes no histogram stays scalars.
        kinds: of the hyperparameters of the run.
    """
    metric = definition["metric"]
    started, ended = _seconds(row.get("started")), _seconds(row.get("ended"))
    parts = [_version(started), _record(_start(row, started, kinds))]
    columns = {str(name): reports[name].tolist() for name in sorted(map(str, reports)) if name not in _COORDINATES}
    if row["status"] not in FAILED:
        columns[SCORE] = _scores(definition, reports)
    # Of a measure that not every report has, nobody can tell a number that was none from one that is missing.
    told = {name: cells if name == metric else [*map(_known, cells)] for name, cells in columns.items()}
    told = {name: cells for name, cells in told.items() if any(cell is not None for cell in cells)}
    histograms = _quantiles(told)
    said: dict[str, str] = {}
    for index, (iteration, moment) in enumerate(zip(reports["iteration"].tolist(), _clock(reports), strict=True)):
        event = Event(wall_time=moment, step=int(iteration))
        drawn: set[str] = set()
        for tag, shares in histograms.items():
            histogram = _histogram(tag, {share: told[name][index] for name, share in shares.items()})
            if histogram is not None:
                event.summary.value.append(histogram)
                drawn |= shares.keys() - {metric}  # for which the page of hyperparameters asks as a scalar
        for name, cells in told.items():
            value = cells[index]
            if isinstance(value, str):
                if said.get(name) != value:
                    said[name] = value
                    event.summary.value.append(_text(name, value))
            elif value is not None and name not in drawn:
                event.summary.value.add(tag=name, simple_value=value)
        parts.append(_record(event))
    if row["status"] in ENDED:
        last = int(reports["iteration"].iloc[-1]) if len(reports) else 0
        parts.append(_record(_end(row, ended, last)))
    return b"".join(parts)


def _known(cell: Any) -> Any:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _quantiles(names: Collection[str]) -> dict[str, dict[str, int]]:
    """Which measures are quantiles of the same, and of how many per cent, by the tag of their histogram."""
    found: dict[str, dict[str, int]] = {}
    for match in filter(None, map(_QUANTILE.fullmatch, names)):
        found.setdefault(match["what"] + (match["where"] or ""), {})[match[0]] = int(match["share"])
    # TensorBoard takes a tag for what it is at first, and what else comes under it is lost.
    return {tag: shares for tag, shares in found.items() if tag not in names}


def _histogram(tag: str, quantiles: Mapping[int, Any]) -> Summary.Value | None:
    """Buckets from each quantile that is there to the next, with the share that lies between as their count.

    The tensor is the form in which TensorBoard holds all histograms: nothing but buckets, each with both its edges. The
    older `HistogramProto` wants a sum and a sum of squares as well, which nobody knows here.

    Args:
        tag: of the histogram.
        quantiles: by their shares in per cent; None where a report has none.

    Returns:
        None for fewer than two, for such as descend and for what is not finite.
    """
    known = sorted((share, value) for share, value in quantiles.items() if value is not None)
    edges = [value for _, value in known]
    numbers = all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges)
    if len(edges) < 2 or not numbers or edges != sorted(edges):
        return None
    plugin = SummaryMetadata.PluginData(plugin_name="histograms")
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
    value.tensor.dtype = _DT_DOUBLE
    for size in (len(edges) - 1, 3):
        value.tensor.tensor_shape.dim.add(size=size)
    for (below, left), (above, right) in pairwise(known):
        value.tensor.double_val.extend((left, right, (above - below) / 100))
    return value


def _start(row: Mapping[str, Any], started: float, kinds: Mapping[str, int]) -> Event:
    session = SessionStartInfo(start_time_secs=started)
    for name, value in flatten(json.loads(row["config"])).items():
        kind = kinds[name]
        if kind == _BOOL:
            session.hparams[name].bool_value = value
        elif kind == _NUMBER and value is not None:
            session.hparams[name].number_value = value
        elif kind == _STRING:
            session.hparams[name].string_value = value if isinstance(value, str) else json.dumps(value)
    data = HParamsPluginData(session_start_info=session)
    return Event(wall_time=started, summary=Summary(value=[_hyperparameters("session_start_info", data)]))


def _end(row: Mapping[str, Any], ended: float, step: int) -> Event:
    said = [str(row["status"]), *(str(row[name]) for name in ("ended_by", "error") if isinstance(row.get(name), str))]
    outcome = SessionEndInfo(status=_FAILURE if row["status"] in FAILED else _SUCCESS, end_time_secs=ended)
    data = HParamsPluginData(session_end_info=outcome)
    values = [_text(STATUS, "\n\n".join(said)), _hyperparameters("session_end_info", data)]
    return Event(wall_time=ended, step=step, summary=Summary(value=values))


def _scores(definition: Mapping[str, Any], reports: pd.DataFrame) -> list[float]:
    """What the trial counted by at each of its reports; NaN before the first number."""
    if definition["metric"] not in reports:
        return [math.nan] * len(reports)
    values = pd.to_numeric(reports[definition["metric"]], errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    if definition.get("score") != "last":
        values = values.cummin() if definition["mode"] == "min" else values.cummax()
    return list(values.ffill())


def _clock(reports: pd.DataFrame) -> list[float]:
    """When each report came, in seconds since 1970."""
    if "time" not in reports:  # no trial has reported yet
        return [0.0] * len(reports)
    since = pd.to_datetime(reports["time"], utc=True) - pd.Timestamp(0, tz="UTC")
    return list(since.dt.total_seconds())


def kinds_of(configs: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """What the values of each hyperparameter are, over all trials: truth values, numbers, or else texts."""
    found: dict[str, set[type]] = {}
    for config in configs:
        for name, value in flatten(dict(config)).items():
            found.setdefault(name, set()).add(type(value))
    kinds = {}
    for name, types in found.items():
        told = types - {type(None)}
        numbers = bool(told) and told <= {int, float}
        kinds[name] = _BOOL if types == {bool} else _NUMBER if numbers else _STRING
    return kinds


def varies(definition: Mapping[str, Any], name: str) -> bool:
    axis = (definition.get("space") or {}).get(name) or {}
    return bool(axis.get("type") != "constant")


def _hyperparameters(what: str, data: HParamsPluginData) -> Summary.Value:
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString(deterministic=True))
    return Summary.Value(tag=f"_hparams_/{what}", metadata=SummaryMetadata(plugin_data=plugin))


def _text(tag: str, text: str) -> Summary.Value:
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
    value.tensor.dtype = _DT_STRING
    value.tensor.string_val.append(text.encode())
    return value


def _version(moment: float) -> bytes:
    return _record(Event(wall_time=moment, file_version="brain.Event:2"))


def _seconds(moment: Any) -> float:
    return 0.0 if moment is None or pd.isna(moment) else pd.Timestamp(moment).timestamp()


def _record(event: Event) -> bytes:
    """A TFRecord: length, its checksum, the data, its checksum."""
    data = event.SerializeToString(deterministic=True)
    length = len(data).to_bytes(8, "little")
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    """CRC-32C (RFC 3720), masked as TensorFlow does."""
    crc = crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")
