"""Results of a run as pandas tables. Reads Parquet and JSON only, and reads a run that still goes on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from search.errors import NoFinishedTrialError, RunError, SearchError
from search.finalists import Finalist, finalists
from search.params import Params
from search.records import concatenate
from search.run_folder import RunFolder
from search.running.lease import is_driven
from search.running.ledger import FAILED, Snapshot

FORMAT = "huetune-run"
VERSION = 1


@dataclass(frozen=True)
class TrialRecord:
    """What one trial came to.

    Attributes:
        checkpoint: the one it counts by, relative to the run; None where none was kept.
        snapshots: others of it, latest first.
    """

    trial_id: str
    number: int
    status: str
    config: Params
    score: float
    iterations: int
    checkpoint: str | None
    checkpoint_iteration: int | None
    configuration: int
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True)
class KeptCheckpoint:
    """One checkpoint of a run.

    Attributes:
        iteration: the report it belongs to.
        path: relative to the run.
        score: the metric of its report.
        config: of its trial.
        configuration: the number of the trial that had this configuration first.
        reason: why its method made the trial, such as "retest"; None where the method gives no reasons.
    """

    trial_id: str
    number: int
    iteration: int
    path: str
    score: float
    config: Params
    configuration: int
    reason: str | None


class Results:
    """A run, read from its folder on a disk or in a bucket, from any process and at any time.

    Args:
        run: a local path or an address such as s3://bucket/runs/quick.

    Raises:
        RunError: there is no run, or one of a format this version cannot read.
        UnreachableError: its storage does not answer, or does not let this process in.
    """

    def __init__(self, run: str | os.PathLike[str]) -> None:
        self.folder = RunFolder.open(run)
        found = self.definition
        if found.get("format") != FORMAT or found.get("version") != VERSION:
            raise RunError(
                f"Expected {FORMAT} version {VERSION} in {self.folder.definition},"
                f" got {found.get('format')!r} version {found.get('version')!r}."
                " Read it with the version of huetune that wrote it."
            )

    @property
    def definition(self) -> dict[str, Any]:
        """The search as data: metric, mode, space, versions, status as its driver wrote it."""
        data = self.folder.read_json(self.folder.definition)
        return data if isinstance(data, dict) else {}

    @property
    def driven(self) -> bool | None:
        """Whether a driver is at work on the run now, None where that cannot be told."""
        return is_driven(self.folder)

    @property
    def status(self) -> str:
        """How the run stands: running, finished, failed or interrupted, also where its driver could not write it."""
        status = str(self.definition.get("status", "finished"))
        if status == "running" and self.driven is False:
            # A driver notes how a run ended before it lets go of it: by now, unless it was killed.
            status = str(self.definition.get("status"))
            return "interrupted" if status == "running" else status
        return status

    @property
    def abandoned(self) -> bool:
        """Whether the driver of the run is gone, and could not even write that."""
        return self.status == "interrupted" and self.definition.get("ended") is None

    def table(self) -> pd.DataFrame:
        """A row a trial, in the order they were made; empty before the first."""
        try:
            return self.folder.read_table(self.folder.trials).to_pandas()
        except FileNotFoundError:
            return pd.DataFrame({"trial_id": [], "number": [], "status": [], "score": []})

    def measurements(self) -> pd.DataFrame:
        """A row a report, by trial and iteration; empty before the first."""
        parts = self._parts()
        if not parts:
            return pd.DataFrame({"trial_id": [], "iteration": [], "seconds": []})
        rows = concatenate(parts).to_pandas()
        # A trial that went on from a checkpoint repeats iterations: the later report is the one that counts.
        rows = rows.drop_duplicates(["trial_id", "iteration"], keep="last")
        return rows.sort_values(["trial_id", "iteration"], ignore_index=True)

    def log(self, number: int, lines: int = 40, size: int = 4096) -> str | None:
        """The last lines of what a crashed trial left, at most `size` characters; None where it left nothing."""
        try:
            with self.folder.fs.open_input_file(f"{self.folder.logs}/{number:05d}.txt") as source:
                source.seek(max(0, source.size() - 4 * size))
                text = source.read().decode(errors="replace")
        except FileNotFoundError:
            return None
        return "\n".join(text.rstrip().splitlines()[-lines:])[-size:]

    def finalists(self) -> list[Finalist]:
        """Configurations that were trained again with fresh seeds, best mean first; none without a `Retest`."""
        return finalists(self.table(), self.definition["mode"] == "max")

    @property
    def best(self) -> TrialRecord:
        """The trial with the best score; where finalists were trained again, the best of the winner's.

        Raises:
            NoFinishedTrialError: none has one.
        """
        ranked = self._ranked()
        if finalists := self.finalists():
            winner = (ranked["configuration"] == finalists[0].configuration) & (ranked["reason"] == "retest")
            ranked = ranked[winner]
        if ranked.empty:
            trials = self.table()
            crashed = trials[trials["error"].notna()]
            why = "Wait for the first report."
            if len(crashed):
                number, error = crashed[["number", "error"]].iloc[0]
                why = f"{len(crashed)} failed, such as trial {number}: {error}"
            raise NoFinishedTrialError(
                f"Expected a trial with a score in {self.folder.address!r}, found none among {len(trials)}. {why}"
            )
        return self._record(ranked.iloc[0])

    def top(self, k: int) -> list[TrialRecord]:
        """The best k trials whose checkpoints were kept, best first; fewer where there are fewer."""
        return [self._record(row) for _, row in self._kept().head(k).iterrows()]

    def checkpoints(self, top: int, per_trial: int = 1) -> list[KeptCheckpoint]:
        """Checkpoints of the best trials that have any, best trial first.

        Args:
            top: how many trials.
            per_trial: how many of each: first the one it counts by, then its snapshots, latest first. Fewer where
                fewer were kept, see `Search.snapshots`.

        Raises:
            SearchError: one of the two is below 1.
        """
        for name, value in (("top", top), ("per_trial", per_trial)):
            if value < 1:
                raise SearchError(f"Expected {name} to be a whole number from 1, got {value!r}. Correct {name}=.")
        found = []
        for _, row in self._kept().head(top).iterrows():
            trial = self._record(row)
            # Runs from before there were snapshots do not say it.
            score = float(row["checkpoint_score"]) if _has(row, "checkpoint_score") else trial.score
            counted = Snapshot(str(trial.checkpoint), trial.checkpoint_iteration or 0, score)
            found += [
                KeptCheckpoint(
                    trial_id=trial.trial_id,
                    number=trial.number,
                    iteration=one.iteration,
                    path=one.path,
                    score=one.score,
                    config=trial.config,
                    configuration=trial.configuration,
                    reason=str(row["reason"]) if _has(row, "reason") else None,
                )
                for one in (counted, *trial.snapshots)[:per_trial]
            ]
        return found

    def ensemble(self) -> dict[str, Any] | None:
        """The ensemble's own description, None before `huetune ensemble`."""
        path = f"{self.folder.ensemble}/ensemble.json"
        if not self.folder.exists(path):
            return None
        data = self.folder.read_json(path)
        return data if isinstance(data, dict) else None

    def ensemble_scores(self) -> pd.DataFrame | None:
        """A row a method, the best single model first, on the test split."""
        return self._ensemble_table("scores")

    def ensemble_correlation(self) -> pd.DataFrame | None:
        """Correlation of the members' errors, a row a pair."""
        return self._ensemble_table("correlation")

    def ensemble_pictures(self) -> pd.DataFrame | None:
        """Pictures of chosen and worst examples, as PNG bytes."""
        return self._ensemble_table("pictures")

    def ensemble_sizes(self) -> pd.DataFrame | None:
        """What the best 1, 2, 3, … members bring, on the test split: a row a method and a number of members."""
        return self._ensemble_table("sizes")

    def ensemble_gallery(self) -> pd.DataFrame | None:
        """The same test examples over the trials, and over the iterations of the best one, as PNG bytes."""
        return self._ensemble_table("gallery")

    def _ensemble_table(self, name: str) -> pd.DataFrame | None:
        try:
            return self.folder.read_table(f"{self.folder.ensemble}/{name}.parquet").to_pandas()
        except FileNotFoundError:
            return None

    def _ranked(self) -> pd.DataFrame:
        trials = self.table()
        if "score" not in trials:
            return trials.iloc[:0]
        scored = trials[trials["score"].notna() & ~trials["status"].isin(FAILED)]
        worst_first = self.definition["mode"] == "max"
        return scored.sort_values(["score", "number"], ascending=[not worst_first, True])

    def _kept(self) -> pd.DataFrame:
        ranked = self._ranked()
        return ranked[ranked["checkpoint"].notna()] if "checkpoint" in ranked else ranked.iloc[:0]

    def _record(self, row: pd.Series[Any]) -> TrialRecord:
        kept = _has(row, "checkpoint")
        return TrialRecord(
            trial_id=str(row["trial_id"]),
            number=int(row["number"]),
            status=str(row["status"]),
            config=json.loads(row["config"]),
            score=float(row["score"]),
            iterations=int(row["iterations"]),
            checkpoint=str(row["checkpoint"]) if kept else None,
            checkpoint_iteration=int(row["checkpoint_iteration"]) if kept else None,
            configuration=int(row.get("configuration", row["number"])),
            snapshots=tuple(Snapshot(**one) for one in json.loads(row["snapshots"])) if _has(row, "snapshots") else (),
        )

    def _parts(self) -> list[pa.Table]:
        # The recorder joins small files into larger ones while we read: one that is gone stands in a newer one.
        for _ in range(5):
            try:
                return [self.folder.read_table(path) for path in self.folder.files(self.folder.measurements)]
            except FileNotFoundError:
                continue
        raise RunError(f"Expected the files in {self.folder.measurements} to hold still for a moment. Try again.")


def _has(row: pd.Series[Any], name: str) -> bool:
    return name in row and pd.notna(row[name])


def standing(run: Results) -> str:
    """The status of a run, for people."""
    return "interrupted (its driver is gone)" if run.abandoned else run.status
