"""The recorder in a plain Tuner, writing after every step: few files, every report once, nothing half-written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from search import Results, RunError
from search.records import column, concatenate, table_of
from search.run_folder import RunFolder
from search.running.guard import Guard
from search.running.journal import Journal
from search.running.ledger import Ledger
from search.running.recorder import Recorder
from search.running.study_file import StudyFile
from search.space import Space

REPORTS = 30


def mixed(config: dict[str, Any]) -> None:
    """Reports a value that is now a number, now a text, and one that appears late."""
    for i in range(REPORTS):
        late = {"late": i} if i > 20 else {}
        tune.report({"loss": config["x"] + i, "mixed": i if i % 2 else f"text {i}", **late})


class Hurry(tune.Callback):
    """Has the recorder write after every step, however little there is."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def on_step_end(self, **_: Any) -> None:
        self.recorder.write()


@pytest.fixture(scope="module")
def written(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("runs")
    folder = RunFolder.open(root / "plain")
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1, "mode": "min"})
    guard = Guard("loss", iterations=None)
    study = StudyFile(folder, "plain", "min", "best", Space.from_domains({"x": tune.uniform(0, 1)}))
    recorder = Recorder(folder, Journal(folder), Ledger("min"), guard, keep=8, method=None, study=study)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        tune.Tuner(
            mixed,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=3, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=str(root), name="t", stop=guard, callbacks=[recorder, Hurry(recorder)], verbose=0
            ),
        ).fit()
    return folder


def test_every_report_is_there_once_though_files_were_joined_on_the_way(written: RunFolder) -> None:
    results = Results(written.root)
    rows = results.measurements()
    assert len(rows) == 3 * REPORTS
    assert (rows.groupby("trial_id")["iteration"].agg(list).map(lambda i: i == list(range(1, REPORTS + 1)))).all()
    files = [Path(path).name for path in written.files(written.measurements)]
    assert any("-16" in name for name in files)
    assert len(files) < 30


def test_a_value_that_is_now_a_number_now_a_text_takes_nothing_down(written: RunFolder) -> None:
    rows = Results(written.root).measurements()
    assert set(rows["mixed"]) == {str(i) if i % 2 else f"text {i}" for i in range(REPORTS)}
    assert rows["late"].notna().sum() == 3 * 9


def test_nothing_unfinished_lies_about(written: RunFolder) -> None:
    assert not [path for path in Path(written.root).rglob("*") if ".part-" in path.name]


def test_a_report_that_two_files_hold_counts_once(written: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path)
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1})
    older = {"trial_id": "a", "iteration": 1, "seconds": 1.0, "loss": 5.0}
    folder.write_table(f"{folder.measurements}/00000000.parquet", table_of([older]))
    folder.write_table(f"{folder.measurements}/00000001.parquet", table_of([{**older, "loss": 4.0}]))
    assert Results(tmp_path).measurements()["loss"].tolist() == [4.0]


def test_a_write_that_fails_leaves_the_older_file_whole(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path)
    folder.write_json(folder.definition, {"whole": True})
    with pytest.raises(TypeError):
        folder.write_json(folder.definition, {"whole": object()})

    def fill_the_disk() -> None:
        with folder._whole(folder.definition) as unfinished:
            Path(unfinished).write_text("{half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_the_disk()
    assert json.loads(Path(folder.definition).read_text()) == {"whole": True}
    assert [p.name for p in tmp_path.iterdir()] == ["search.json"]


def test_a_table_cut_short_is_named(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path)
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1, "mode": "min"})
    folder.write_table(folder.trials, table_of([{"trial_id": "a", "score": 1.0}] * 100))
    whole = Path(folder.trials).read_bytes()
    Path(folder.trials).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"Expected a Parquet file at .*trials\.parquet"):
        Results(tmp_path).table()


def test_a_run_in_a_bucket_is_read_by_its_address(tmp_path: Path) -> None:
    # The file system of a bucket is another class behind the same interface; file:// goes the same way.
    written = RunFolder.open(tmp_path / "run")
    written.write_json(written.definition, {"format": "huetune-run", "version": 1})
    assert Results(f"file://{tmp_path}/run").definition["version"] == 1


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=5), st.lists(st.integers())
)


@given(st.lists(values, max_size=8), st.lists(values, max_size=8))
def test_any_mixture_of_values_becomes_a_column_that_parquet_keeps(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any]
) -> None:
    for some in (first, second):
        array = column(some)
        assert len(array) == len(some)
        assert [v is None for v in array.to_pylist()] == [v is None for v in some]
    tables = [table_of([{"value": v} for v in some]) for some in (first, second) if some]
    if tables:
        joined = concatenate(tables)
        file = tmp_path_factory.getbasetemp() / "mixture.parquet"
        pq.write_table(joined, file)
        assert len(pq.read_table(file)) == len(first) + len(second)


def test_numbers_of_numpy_stay_numbers() -> None:
    assert column([np.float32(1.5), 2]).to_pylist() == [1.5, 2.0]
    assert column([np.int64(3), None]).to_pylist() == [3, None]


def test_every_report_says_from_which_node_and_which_start_it_came(written: RunFolder) -> None:
    rows = Results(written.root).measurements()
    assert rows["node"].notna().all()
    assert (rows["attempt"] == 1).all()
    assert (Results(written.root).table()["attempts"] == 1).all()


def test_a_replayed_run_has_the_starts_and_reports_that_it_had(tmp_path: Path) -> None:
    def report(iteration: int, node: str, at: float) -> dict[str, Any]:
        told = {"iteration": iteration, "seconds": at, "node": node, "value": 1.0, "time": at, "scalars": {"loss": 1.0}}
        return {"event": "report", "trial": "a", **told}

    def start(at: float) -> dict[str, Any]:
        return {"event": "start", "trial": "a", "time": at, "resources": {}}

    config = {"number": 1, "config": {}, "suggestion": {}, "suggested_by": ""}
    events = [
        {"event": "suggest", "trial": "a", **config},
        start(1.0),
        report(1, "n1", 2.0),
        report(2, "n1", 3.0),
        start(4.0),
        report(2, "n2", 5.0),
        report(3, "n2", 6.0),
    ]
    folder = RunFolder.open(tmp_path)
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1, "mode": "min"})
    study = StudyFile(folder, "plain", "min", "best", Space.from_domains({"x": tune.uniform(0, 1)}))
    guard = Guard("loss", iterations=None)
    recorder = Recorder(folder, Journal(folder), Ledger("min"), guard, keep=8, method=None, study=study)
    recorder.replay(events)
    recorder.close()
    rows = Results(tmp_path).measurements()
    assert list(zip(rows["iteration"], rows["node"], rows["attempt"], strict=True)) == [
        (1, "n1", 1),
        (2, "n2", 2),
        (3, "n2", 2),
    ]
    assert Results(tmp_path).table()["attempts"].tolist() == [2]
