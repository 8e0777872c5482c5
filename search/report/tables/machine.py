"""What the machines did: who was busy when, how quick each node was, how much memory trials took."""

import numpy as np
import pandas as pd
from scipy import stats

from search.report.tables.attempts import UNKNOWN_NODE, attempts, busy_until
from search.report.tables.snapshot import NothingToShow, Snapshot

MOST_STEPS = 300
_ALPHA = 0.01


def timeline(snap: Snapshot) -> pd.DataFrame:
    """The starts of trials in time, see `attempts`. Raises `NothingToShow`."""
    table = attempts(snap)
    if not (table["end"] > table["start"]).any():
        raise NothingToShow("No trial has run for any time yet.")
    return table


def utilisation(snap: Snapshot) -> pd.DataFrame:
    """time (seconds, breaks left out, see `attempts`), running: how many trials ran from that time on.

    Of more than `MOST_STEPS` changes, means over as many stretches of the same length. `attrs`: averaged, whether
    they are; span, seconds; mean and peak of trials at once; idle, the share of the peak that was not used; lanes, a
    list of (node, slot, share of the span that it was busy); waits, seconds that slots stood empty between two
    trials; breaks. Raises `NothingToShow`.
    """
    table = timeline(snap)
    span = float(table["end"].max())
    change = pd.concat([pd.Series(1, index=table["start"]), pd.Series(-1, index=table["end"])])
    running = change.groupby(level=0).sum().sort_index().cumsum()
    running = running[running.diff().fillna(1) != 0]
    # What lasts less than a pixel, such as the change from one trial to the next, would be drawn as a spike.
    lasts = np.append(np.diff(running.index.to_numpy(float)), np.inf)
    drawn = running[lasts >= span / 1000]
    drawn = drawn[drawn.diff().fillna(1) != 0]
    mean, peak = float((table["end"] - table["start"]).sum()) / span, int(running.max())
    steps = pd.DataFrame({"time": drawn.index.to_numpy(float), "running": drawn.to_numpy(float)})
    averaged = len(steps) > MOST_STEPS
    if averaged:
        edges = np.linspace(0, span, MOST_STEPS + 1)
        level = np.diff(busy_until(table, edges).sum(axis=0)) / (edges[1] - edges[0])
        steps = pd.DataFrame({"time": edges, "running": [*level, 0.0]})
    lanes = table.groupby("lane", sort=True)
    busy = (table["end"] - table["start"]).groupby(table["lane"]).sum() / span
    first = lanes[["node", "slot"]].first()
    before = lanes["end"].shift()
    steps.attrs = {
        "averaged": averaged,
        "span": span,
        "mean": mean,
        "peak": peak,
        "idle": max(0.0, 1 - mean / peak),
        "lanes": [(str(n), int(s), float(b)) for n, s, b in zip(first["node"], first["slot"], busy, strict=True)],
        "waits": (table["start"] - before).dropna().clip(lower=0).tolist(),
        "breaks": table.attrs["breaks"],
    }
    return steps


def seconds_per_iteration(snap: Snapshot) -> pd.DataFrame:
    """number, status, node (see `attempts`), value: seconds an iteration, a row for each node that a trial was on.

    Iterations that no report tells of are not counted: those of an attempt whose reports a later one repeated.
    `attrs["slow"]` names the slowest node, (node, ratio, low, high), where its median is above the other nodes' by
    more than a tenth for sure: the ratio of medians with a 95 % percentile bootstrap interval (Efron, The Jackknife,
    the Bootstrap and Other Resampling Plans, SIAM, 1982), or None. Raises `NothingToShow`.
    """
    paces = _paces(snap)
    if len(paces) < 2:
        raise NothingToShow("How long iterations take needs two trials that reported their seconds.")
    trials = snap.trials.set_index("trial_id")
    paces = paces.join(trials[["number", "status"]], on="trial_id", how="inner")
    paces["node"] = paces["node"].map(_shown_nodes(snap)).fillna(UNKNOWN_NODE)
    table = paces[["number", "status", "node", "value"]].sort_values("number", ignore_index=True)
    table.attrs["slow"] = _slow_node(table)
    return table


def memory(snap: Snapshot) -> pd.DataFrame:
    """number, status, node, value (peak MiB of the trial), at: what is measured where, a row a trial.

    GPU memory where trials report `gpu_memory_mib`, else `memory_mib` of the process. `attrs`: gpu, which of the two;
    parameter, the name of the numeric one whose rank correlation (Spearman, 1904) with it is strongest, where that is
    above 0.3 and no accident (p below 0.01 over the number of parameters), else None; correlation; column `at` holds
    its values then. host, the (least, largest) of the process's memory in MiB beside that of the GPU, or None.

    Raises `NothingToShow` where no trial reports its memory.
    """
    peaks = {name: _peaks(snap, name) for name in ("gpu_memory_mib", "memory_mib")}
    name = next((name for name, found in peaks.items() if len(found)), None)
    if name is None:
        raise NothingToShow("No trial reported its memory: a report may hold memory_mib and gpu_memory_mib.")
    table = snap.trials[["number", "status", "trial_id", "node"]].copy()
    table["node"] = table["node"].map(_shown_nodes(snap)).fillna(UNKNOWN_NODE)
    table["value"] = table["trial_id"].map(peaks[name])
    found = _explaining(snap, table["value"])
    if found is not None:
        table["at"] = pd.to_numeric(snap.trials[f"config.{found[0]}"], errors="coerce").astype(float)
    table = table.dropna(subset=["value"]).drop(columns="trial_id").reset_index(drop=True)
    host = peaks["memory_mib"]
    table.attrs = {
        "gpu": name.startswith("gpu"),
        "parameter": found[0] if found else None,
        "correlation": found[1] if found else None,
        "host": (float(host.min()), float(host.max())) if name.startswith("gpu") and len(host) else None,
    }
    return table


def _paces(snap: Snapshot) -> pd.DataFrame:
    """trial_id, node (its address), value."""
    measured = snap.measurements
    if not len(measured) or "seconds" not in measured:
        return pd.DataFrame({"trial_id": [], "node": [], "value": []})
    rows = measured[["trial_id", "iteration"]].copy()
    rows["seconds"] = pd.to_numeric(measured["seconds"], errors="coerce").astype(float)
    rows["node"] = _nodes(snap)
    rows = rows.sort_values(["trial_id", "iteration"], kind="stable")
    # Both count from the start of the trial, also over attempts that went on from a checkpoint.
    grown = rows[["iteration", "seconds"]] - rows.groupby("trial_id")[["iteration", "seconds"]].shift(fill_value=0)
    useful = (grown["iteration"] > 0) & (grown["seconds"] > 0)
    parts = grown[useful].groupby([rows["trial_id"], rows["node"]], dropna=False).sum()
    value = parts["seconds"] / parts["iteration"]
    return value.rename("value").reset_index()


def _nodes(snap: Snapshot) -> pd.Series:
    """The address that each measurement came from; runs of earlier versions know that of the trial only."""
    of_trial = snap.measurements["trial_id"].map(snap.trials.set_index("trial_id")["node"])
    if "node" not in snap.measurements:
        return of_trial
    # A workload may report a measure of its own by this name.
    own = snap.measurements["node"]
    return own.where(own.isin(list(_shown_nodes(snap))), of_trial)


def _shown_nodes(snap: Snapshot) -> dict[str, str]:
    """The names of nodes as the timeline has them, by address."""
    try:
        names = attempts(snap).attrs["nodes"]
    except NothingToShow:
        names = [f"node {n} ({node})" for n, node in enumerate(snap.trials["node"].dropna().unique(), start=1)]
    return {name.partition(" (")[2][:-1]: name for name in names if name != UNKNOWN_NODE}


def _slow_node(table: pd.DataFrame, draws: int = 400, most: int = 400) -> tuple[str, float, float, float] | None:
    values = {str(node): part["value"].to_numpy()[:most] for node, part in table.groupby("node") if len(part) >= 5}
    if len(values) < 2:
        return None
    slowest = max(values, key=lambda node: float(np.median(values[node])))
    own, others = values.pop(slowest), np.concatenate(list(values.values()))[: 2 * most]
    random = np.random.default_rng(0)
    drawn = [np.median(random.choice(part, (draws, len(part))), axis=1) for part in (own, others)]
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    ratio = float(np.median(own) / np.median(others))
    return (slowest, ratio, float(low), float(high)) if low > 1.1 else None


def _peaks(snap: Snapshot, name: str) -> pd.Series:
    if name not in snap.measurements:
        return pd.Series(dtype=float)
    values = pd.to_numeric(snap.measurements[name], errors="coerce").astype(float)
    values = values.where(np.isfinite(values) & (values > 0))
    return values.groupby(snap.measurements["trial_id"]).max().dropna()


def _explaining(snap: Snapshot, values: pd.Series) -> tuple[str, float] | None:
    """The numeric parameter that goes most with the values, and the rank correlation."""
    numeric = [p for p in snap.varying if p.kind != "choice" or all(_is_number(c) for c in p.choices)]
    best: tuple[str, float] | None = None
    for parameter in numeric:
        at = pd.to_numeric(snap.trials[f"config.{parameter.name}"], errors="coerce").astype(float)
        both = at.notna() & values.notna() & np.isfinite(at)
        if both.sum() < 5 or at[both].nunique() < 2 or values[both].nunique() < 2:
            continue
        found = stats.spearmanr(at[both], values[both])
        strength = float(found.statistic)
        if float(found.pvalue) < _ALPHA / len(numeric) and abs(strength) > max(0.3, abs(best[1]) if best else 0):
            best = parameter.name, strength
    return best


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
