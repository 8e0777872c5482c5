import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from ensembles import ErrorGram, load_predictor
from ensembles.members.cache import PredictionCache
from ensembles.members.crew import Crew, NoMembers
from ensembles.members.gather import gather, gathered
from search.results import Results


@pytest.fixture
def make_run(tiny, tmp_path):
    """Writes the folder of a run and opens it: for each trial its score and the seed of its model, or more."""

    def make(name, trials, metric="psnr", mode="max", address=None):
        root = tmp_path / (address or f"runs/{name}")
        (root / "checkpoints").mkdir(parents=True)
        description = {"format": "huetune-run", "version": 1, "name": name, "metric": metric, "mode": mode}
        (root / "search.json").write_text(json.dumps(description))
        rows = []
        for number, trial in enumerate(trials, 1):
            written = {}
            for iteration, model in trial.get("checkpoints", {5: {"seed": number}}).items():
                written[iteration] = path = f"checkpoints/{number:05d}-{iteration:06d}"
                if model is not None:
                    tiny.write_checkpoint(root / path, **model)
            counted, *snapshots = written or [None]
            rows.append(
                {
                    "trial_id": trial.get("id", f"trial{number}"),
                    "number": number,
                    "status": trial.get("status", "finished"),
                    "score": trial["score"],
                    "config": "{}",
                    "iterations": 9,
                    "configuration": trial.get("configuration", number),
                    "reason": trial.get("reason"),
                    "checkpoint": written.get(counted),
                    "checkpoint_iteration": counted,
                    "snapshots": json.dumps(
                        [{"path": written[n], "iteration": n, "score": trial["score"]} for n in snapshots]
                    ),
                }
            )
        pd.DataFrame(rows).to_parquet(root / "trials.parquet")
        return Results(root)

    return make


@dataclass(frozen=True)
class Bucket:
    """Where a run lies whose files no program finds by their path."""

    root: Path
    address: str
    is_local = False

    def inside(self, relative):
        return f"{self.address}/{relative}"

    def exists(self, path):
        return self._place(path).exists()

    @contextmanager
    def local_copy(self, path):
        with TemporaryDirectory() as fetched:
            yield Path(shutil.copytree(self._place(path), Path(fetched) / "copy"))

    def _place(self, path):
        return self.root / path.removeprefix(f"{self.address}/")


class InABucket:
    """The results of a run in a bucket."""

    def __init__(self, results):
        self.folder = Bucket(Path(results.folder.root), f"bucket://runs/{results.definition['name']}")
        self.definition, self.checkpoints = results.definition, results.checkpoints


def named(candidates):
    return [(each.trial_id, each.iteration) for each in candidates]


def trials_of(candidates):
    return [each.trial_id for each in candidates]


SCORES = [{"score": 17.0}, {"score": 19.0}, {"score": 16.0}, {"score": 18.0}]


def test_the_best_trials_come_first_and_lead_to_their_checkpoints(make_run):
    run = make_run("one", SCORES)
    found = gather(run, top=3)
    assert named(found) == [("trial2", 5), ("trial4", 5), ("trial1", 5)]
    assert [load_predictor(each.folder).seed for each in found] == [2, 4, 1]
    assert found[0].source == f"{run.folder.address}/checkpoints/00002-000005"


def test_where_the_metric_is_to_be_small_the_smallest_come_first(make_run):
    runs = [make_run("one", SCORES[:2], "loss", "min"), make_run("two", SCORES[2:], "loss", "min")]
    assert trials_of(gather(runs[0], top=3)) == ["trial1", "trial2"]
    assert trials_of(gather(runs, top=3)) == ["two/trial1", "one/trial1", "two/trial2"]


def test_eight_trials_are_the_default_and_fewer_where_there_are_fewer(make_run):
    assert len(gather(make_run("many", [{"score": float(n)} for n in range(10)]))) == 8
    assert len(gather(make_run("few", SCORES))) == 4


def test_snapshots_follow_the_checkpoint_that_their_trial_counts_by(make_run):
    several = {"checkpoints": {5: {"seed": 1}, 9: {"seed": 2}, 3: {"seed": 3}}}
    run = make_run("one", [{"score": 17.0} | several, {"score": 19.0}])
    assert named(gather(run, per_trial=2)) == [("trial2", 5), ("trial1", 5), ("trial1", 9)]
    assert named(gather(run, top=2, per_trial=9))[1:] == [("trial1", 5), ("trial1", 9), ("trial1", 3)]


def test_replicas_of_a_configuration_are_members_like_others(make_run):
    again = [{"score": 20.0 - n, "configuration": 1, "reason": "retest"} for n in range(3)]
    assert len(gather(make_run("one", again), top=3)) == 3


def test_trials_without_a_checkpoint_and_trials_that_failed_are_passed_over(make_run):
    run = make_run("one", [{"score": 20.0, "checkpoints": {}}, {"score": 21.0, "status": "failed"}, {"score": 17.0}])
    assert trials_of(gather(run)) == ["trial3"]


def test_the_best_of_several_runs_are_found_by_score_under_names_of_their_own(make_run):
    runs = [make_run("one", SCORES), make_run("two", [{"score": 18.5}, {"score": 3.0}])]
    found = gather(runs, top=4)
    assert trials_of(found) == ["one/trial2", "two/trial1", "one/trial4", "one/trial1"]
    assert len(set(trials_of(gather(runs)))) == 6


def test_runs_of_the_same_name_are_told_apart_by_their_addresses(make_run):
    runs = [make_run("one", SCORES[:1], address="here/one"), make_run("one", SCORES[:1], address="there/one")]
    labels = trials_of(gather(runs))
    assert labels == [f"{run.folder.address}/trial1" for run in runs]


@pytest.mark.parametrize(("metric", "mode", "what"), [("loss", "max", "metric"), ("psnr", "min", "mode")])
def test_runs_whose_scores_do_not_compare_are_named(make_run, metric, mode, what):
    runs = [make_run("one", SCORES), make_run("two", SCORES, metric, mode)]
    theirs = {"metric": ("psnr", metric), "mode": ("max", mode)}[what]
    with pytest.raises(ValueError, match=rf"one {what}.*one has '{theirs[0]}'.*two has '{theirs[1]}'"):
        gather(runs)


def test_a_run_that_is_named_twice_is_refused_however_it_is_written(make_run):
    run = make_run("one", SCORES)
    with pytest.raises(ValueError, match="each run once"):
        gather([run, Results(f"{run.folder.root}/../one")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top >= 1, got 0"),
        ({"per_trial": 0}, "per_trial >= 1, got 0"),
        ({"diverse": -0.1}, "0 <= diverse <= 1, got -0.1"),
        ({"diverse": 1.1}, "0 <= diverse <= 1, got 1.1"),
        ({"diverse": float("nan")}, "0 <= diverse <= 1, got nan"),
    ],
)
def test_arguments_out_of_their_range_are_named(make_run, arguments, message):
    with pytest.raises(ValueError, match=message):
        gather(make_run("one", SCORES), **arguments)


def test_no_run_and_no_checkpoint_are_named(make_run):
    with pytest.raises(ValueError, match="at least one run"):
        gather([])
    runs = [make_run("one", [{"score": 20.0, "checkpoints": {}}]), make_run("two", [])]
    with pytest.raises(ValueError, match=r"Expected checkpoints in .*one, .*two, found none.*save_checkpoint"):
        gather(runs)


# Seeds 1 and 1 of other scales have the same pattern of errors; 2 and 3 have patterns of their own.
ALIKE = [
    {"score": 20.0, "checkpoints": {5: {"seed": 1, "scale": 0.30}}},
    {"score": 19.9, "checkpoints": {5: {"seed": 1, "scale": 0.31}}},
    {"score": 19.8, "checkpoints": {5: {"seed": 1, "scale": 0.32}}},
    {"score": 19.5, "checkpoints": {5: {"seed": 2, "scale": 0.40}}},
    {"score": 19.4, "checkpoints": {5: {"seed": 3, "scale": 0.45}}},
    {"score": 10.0, "checkpoints": {5: {"seed": 4, "scale": 0.90}}},
]


def test_diverse_prefers_models_that_err_elsewhere_and_keeps_them_best_first(make_run):
    run = make_run("one", ALIKE)
    assert trials_of(gather(run, top=3)) == ["trial1", "trial2", "trial3"]
    assert trials_of(gather(run, top=3, diverse=0.5)) == ["trial1", "trial4", "trial5"]


def test_diverse_looks_no_further_than_three_times_as_many_trials(make_run):
    run = make_run("one", [*ALIKE[:3], ALIKE[3]])
    assert trials_of(gather(run, top=1, diverse=1.0)) == ["trial1"]
    six = [{"score": 20.0 - n / 100, "checkpoints": {5: {"seed": 1, "scale": 0.3 + n / 100}}} for n in range(6)]
    far = make_run("two", [*six, ALIKE[5]])
    assert "trial7" not in trials_of(gather(far, top=2, diverse=1.0))
    assert "trial7" in trials_of(gather(far, top=3, diverse=1.0))


def test_diverse_takes_the_snapshots_of_the_trials_that_it_chose(make_run):
    run = make_run("one", [*ALIKE[:3], ALIKE[3] | {"checkpoints": {5: {"seed": 2}, 9: {"seed": 9}}}, ALIKE[5]])
    assert named(gather(run, top=2, per_trial=2, diverse=0.5)) == [("trial1", 5), ("trial4", 5), ("trial4", 9)]


def test_diverse_goes_by_the_validation_split_alone_and_computes_nothing_twice(make_run, tmp_path):
    run = make_run("one", ALIKE)
    cache = PredictionCache(tmp_path / "cache")
    first = gather(run, top=3, diverse=0.5, cache=cache)
    batches = list(load_predictor(first[0].folder).batches("val"))
    assert (cache.hits, cache.misses) == (0, 6 * len(batches))
    assert gather(run, top=3, diverse=0.5, cache=cache) == first
    assert cache.hits == cache.misses == 6 * len(batches)


def test_where_all_are_taken_nothing_is_loaded(make_run, tmp_path):
    cache = PredictionCache(tmp_path / "cache")
    assert len(gather(make_run("one", ALIKE), top=6, diverse=1.0, cache=cache)) == 6
    assert cache.misses == 0


BROKEN = [
    {"seed": 7, "mode": "unloadable"},
    {"seed": 7, "mode": "nan"},
    {"seed": 7, "mode": "shape"},
    {"seed": 7, "mode": "raise"},
    {"seed": 1, "scale": 0.30},  # the same files as the best
    None,
]


@pytest.mark.parametrize("model", BROKEN)
def test_what_cannot_be_a_member_is_passed_over_and_handed_on_to_be_named(make_run, model):
    run = make_run("one", [ALIKE[0], {"score": 19.95, "checkpoints": {5: model}}, *ALIKE[1:]])
    found = gather(run, top=3, diverse=0.5)
    assert trials_of(found) == ["trial1", "trial5", "trial6", "trial2"]
    crew = Crew(found[:3], None, None)
    assert crew.set_aside == []


def test_where_nothing_can_be_a_member_all_are_handed_on_to_be_named(make_run):
    run = make_run("one", [{"score": 9.0 - n, "checkpoints": {5: None}} for n in range(4)])
    found = gather(run, top=2, diverse=0.5)
    assert len(found) == 4
    with pytest.raises(NoMembers):
        Crew(found, None, None)


def test_checkpoints_of_a_bucket_are_there_for_the_time_of_the_context(make_run):
    run = InABucket(make_run("one", ALIKE))
    with gathered(run, top=3, diverse=0.5) as found:
        assert trials_of(found) == ["trial1", "trial4", "trial5"]
        assert [load_predictor(each.folder).seed for each in found] == [1, 2, 3]
        assert found[0].source == "bucket://runs/one/checkpoints/00001-000005"
    assert not any(each.folder.exists() for each in found)


def test_checkpoints_of_a_bucket_can_be_copied_to_a_folder_that_stays(make_run, tmp_path):
    run = InABucket(make_run("one", ALIKE))
    with pytest.raises(ValueError, match=r"bucket://runs/one.*folder=.*gathered"):
        gather(run)
    found = gather(run, top=2, folder=tmp_path / "copies")
    assert [load_predictor(each.folder).scale for each in found] == [0.30, 0.31]
    assert all(each.folder.is_relative_to(tmp_path / "copies") for each in found)
    with pytest.raises(FileExistsError):
        gather(run, top=2, folder=tmp_path / "copies")


def test_a_checkpoint_that_is_missing_from_a_bucket_is_set_aside_and_the_others_serve(make_run, tmp_path):
    run = InABucket(make_run("one", [ALIKE[0], {"score": 19.8, "checkpoints": {5: None}}, ALIKE[3]]))
    with gathered(run) as found:
        crew = Crew(found, None, None)
        assert trials_of(found) == ["trial1", "trial2", "trial3"]
    assert [item.candidate.trial_id for item in crew.set_aside] == ["trial2"]
    assert "does not exist" in crew.set_aside[0].reason
    assert trials_of(crew.candidates) == ["trial1", "trial3"]
    kept = gather(run, folder=tmp_path / "copies")
    assert trials_of(Crew(kept, None, None).candidates) == ["trial1", "trial3"]


def test_steps_are_told(make_run):
    told = []
    gather(make_run("one", ALIKE), top=1, diverse=0.5, say=told.append)
    assert told[0] == "fetching trial1"
    assert "loading trial1" in told
    assert any(text.startswith("val split") for text in told)


def test_errors_that_are_alike_are_what_the_gram_matrix_of_the_examples_says(make_run):
    """The premise of the tests above: equal seeds err alike, others do not."""
    models = [load_predictor(each.folder) for each in gather(make_run("one", ALIKE))]
    gram = ErrorGram(len(models))
    for batch in models[0].batches("val"):
        gram.add([model(batch.inputs) for model in models], batch.targets)
    mean = gram.per_example.mean(axis=0)
    size = np.sqrt(np.diag(mean))
    alike = mean / np.outer(size, size)
    assert alike[0, 1] > 0.999
    assert max(alike[0, 3], alike[0, 4], alike[3, 4]) < 0.5
