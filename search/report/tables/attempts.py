"""When and where each trial ran: every start of it as a stretch of time in a slot of a node. No figures here."""

import heapq
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.failures import reason
from search.report.tables.snapshot import NothingToShow, Snapshot, moment, records, seconds_since_1970

UNKNOWN_NODE = "node not known"
# A stretch in which nothing ran is cut from the axis of time if it is longer than both.
_LONG_SECONDS, _LONG_SHARE = 30.0, 0.05


def attempts(snap: Snapshot) -> pd.DataFrame:
    """A row for every start of a trial: number, attempt, of, node, start, end, status, why, is_best, slot, lane.

    `start` and `end` are seconds since the first start, less the breaks: long stretches in which nothing ran.
    `status` is the trial's for its last attempt. An earlier one was "lost" (its process or machine died, as `why` says,
    or a scheduler paused it) or "interrupted" (its session ended); it ends here when it was lost, else with its last
    report, and where it made none with the next start.
    `node` is a name to show, such as "node 1 (10.0.0.3)", counted in order of first use; a start of which no report
    tells has none that is known, unless the run has but one. `slot` is the first place
    on the node that was free, from 1: trials side by side are in different slots. `lane` counts the slots of all
    nodes from 0.

    `attrs`: breaks, a list of (place on the axis, seconds cut); nodes, their names; began, the first start in
    seconds since 1970.

    Raises `NothingToShow` where no trial says when it began.
    """
    table = _stretches(snap)
    if not len(table):
        why = "no trial has begun" if not len(snap.trials) else "no trial of it says when it began"
        raise NothingToShow(f"There is no time to show: {why}.")
    table = table.sort_values(["start", "number"], kind="stable", ignore_index=True)
    table["end"] = table[["start", "end"]].max(axis=1)
    began = float(table["start"].iloc[0])
    addresses = table["node"].dropna().unique()
    if len(addresses) == 1:  # a start that never reported cannot have been elsewhere
        table["node"] = addresses[0]
    names = _node_names(table)
    table["node"] = table["node"].map(names)
    start, end = table["start"].to_numpy() - began, table["end"].to_numpy() - began
    found = _breaks(start, end)
    table["start"], table["end"] = (_without(found, times) for times in (start, end))
    table["slot"] = _slots(table)
    order = {node: place for place, node in enumerate(names.values())}
    place = table["node"].map(order)
    used = table.groupby(place)["slot"].max().reindex(range(len(order)), fill_value=0)
    table["lane"] = place.map(used.cumsum().shift(fill_value=0)) + table["slot"] - 1
    cuts = [(float(_without(found, np.array([low]))[0]), high - low) for low, high in found]
    table.attrs = {"breaks": cuts, "nodes": list(names.values()), "began": began}
    return table


def busy_until(table: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Seconds that each lane was busy before each moment of `edges`: an array of lanes by edges.

    Args:
        table: of `attempts`.
        edges: moments on its axis, ascending.
    """
    rows = []
    for _, lane in table.groupby("lane", sort=True):
        starts, ends = lane["start"].to_numpy(), lane["end"].to_numpy()
        done = np.cumsum(ends - starts)
        moments = np.column_stack([starts, ends]).ravel()
        rows.append(np.interp(edges, moments, np.column_stack([done - (ends - starts), done]).ravel()))
    return np.array(rows)


def _stretches(snap: Snapshot) -> pd.DataFrame:
    """Every start, with `start` and `end` in seconds since 1970."""
    trials = snap.trials
    began, ended = (seconds_since_1970(trials[name]) for name in ("started", "ended"))
    reported = trials["trial_id"].map(_last_reports(snap))
    known = pd.concat([began, ended, reported]).max()
    # What runs is drawn to the last sign of life of the run.
    last = ended.fillna(reported.where(trials["status"] != "running", known)).fillna(began + trials["seconds"])
    table = pd.DataFrame(
        {
            "number": trials["number"],
            "attempt": 1,
            "of": 1,
            "node": trials["node"],
            "start": began,
            "end": last.fillna(began),
            "status": trials["status"],
            "why": [_why(*row) for row in zip(trials["status"], trials["error"], trials["ended_by"], strict=True)],
            "is_best": trials.index == snap.best,
        },
        index=trials.index,
    )
    histories = trials["history"].dropna() if "history" in trials else pd.Series(dtype=object)
    several = {row: read for row, text in histories.items() if (read := _history(text)) is not None}
    sessions = [at.timestamp() for one in snap.definition.get("sessions") or [] if (at := moment(one.get("started")))]
    rows = records(table.loc[list(several)])
    more = [_tried(row, tries, sessions) for row, tries in zip(rows, several.values(), strict=True)]
    again = pd.DataFrame([attempt for tries in more for attempt in tries], columns=table.columns)
    single = table.drop(index=list(several))
    return (pd.concat([single, again]) if len(again) else single).dropna(subset=["start"])


def _tried(last: dict[str, Any], tries: Sequence[dict[str, Any]], sessions: Sequence[float]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, (one, after) in enumerate(zip(tries, [*tries[1:], None], strict=True), start=1):
        row = {**last, "attempt": place, "of": len(tries), "start": one["started"], "node": one.get("node")}
        if after is not None:
            broken_off = any(one["started"] < began <= after["started"] + 1 for began in sessions)
            end = one.get("lost") or one.get("reported") or (one["started"] if broken_off else after["started"])
            status, why = ("interrupted", "the session ended") if broken_off else ("lost", "it was started again")
            row |= {"end": end, "status": status, "why": one.get("why") or why, "is_best": False}
        rows.append(row)
    return rows


def _history(text: Any) -> list[dict[str, Any]] | None:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    whole = isinstance(found, list) and all(isinstance(one, dict) and "started" in one for one in found)
    return found if whole and len(found) > 1 else None


def _why(status: str, error: str | None, ended_by: str | None) -> str:
    if status == "failed":
        return reason(error)
    return f"by {ended_by}" if status == "stopped" and ended_by else ""


def _last_reports(snap: Snapshot) -> pd.Series:
    measured = snap.measurements
    if "time" not in measured or not len(measured):
        return pd.Series(dtype=float)
    return seconds_since_1970(measured.groupby("trial_id")["time"].max())


def _node_names(table: pd.DataFrame) -> dict[Any, str]:
    """The name to show by address, in order of first use; a trial whose node is not known comes last."""
    addresses = [node for node in dict.fromkeys(table["node"]) if isinstance(node, str)]
    names: dict[Any, str] = {address: f"node {n} ({address})" for n, address in enumerate(addresses, start=1)}
    return names | {node: UNKNOWN_NODE for node in dict.fromkeys(table["node"]) if not isinstance(node, str)}


def _breaks(start: np.ndarray, end: np.ndarray) -> list[tuple[float, float]]:
    """Stretches from one moment to another in which nothing ran, and that would take too much of the axis."""
    busy_to = np.maximum.accumulate(end)
    gaps = start[1:] - busy_to[:-1]
    idle = float(gaps[gaps > 0].sum())
    long = gaps > max(_LONG_SECONDS, _LONG_SHARE * (busy_to[-1] - idle))
    return [(float(low), float(high)) for low, high in zip(busy_to[:-1][long], start[1:][long], strict=True)]


def _without(breaks: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    cut = sum((np.clip(times - low, 0, high - low) for low, high in breaks), start=np.zeros(len(times)))
    return np.asarray(times - cut)


def _slots(table: pd.DataFrame) -> list[int]:
    """Greedy interval partitioning: each stretch takes the lowest slot of its node that is free when it begins."""
    busy: dict[str, list[tuple[float, int]]] = {}
    free: dict[str, list[int]] = {}
    slots = []
    for node, start, end in zip(table["node"], table["start"], table["end"], strict=True):
        taken, idle = busy.setdefault(node, []), free.setdefault(node, [])
        while taken and taken[0][0] <= start:
            heapq.heappush(idle, heapq.heappop(taken)[1])
        slot = heapq.heappop(idle) if idle else len(taken) + 1
        heapq.heappush(taken, (end, slot))
        slots.append(slot)
    return slots
