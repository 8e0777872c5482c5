"""Learning from earlier runs, whose files are only read."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search import Bayesian, SearchError
from search.params import as_data, flatten, nest
from search.records import table_of
from search.results import FORMAT, VERSION
from search.run_folder import RunFolder

SPACE = {"net": {"lr": tune.loguniform(1e-5, 1e-1)}, "norm": tune.choice(["batch", None])}


def earlier(storage: Path, trials: list[tuple[dict[str, Any], str, list[float]]], mode: str = "min") -> str:
    """A run with these trials: configuration, status and reports."""
    folder = RunFolder.create(str(storage), "earlier")
    folder.write_json(folder.definition, {"format": FORMAT, "version": VERSION, "metric": "loss", "mode": mode})
    rows = [
        {"trial_id": f"t{n}", "number": n, "status": status, "config": json.dumps(as_data(config))}
        | {f"config.{name}": value for name, value in flatten(config).items()}
        for n, (config, status, _) in enumerate(trials)
    ]
    folder.write_table(folder.trials, table_of(rows))
    reports = [
        {"trial_id": f"t{n}", "iteration": iteration, "seconds": 1.0, "loss": loss}
        for n, (_, _, losses) in enumerate(trials)
        for iteration, loss in enumerate(losses, start=1)
    ]
    folder.write_table(f"{folder.measurements}/00000000.parquet", table_of(reports))
    return folder.address


def config(lr: float = 1e-3, **others: Any) -> dict[str, Any]:
    return nest({"net/lr": lr, "norm": None, "seed": 7} | others)


def ready(run: str, mode: str = "min", **settings: Any) -> Bayesian:
    searcher = Bayesian(warm_start=[run], **({"startup": 1} | settings))
    searcher.set_search_properties("loss", mode, SPACE, stop={"training_iteration": 2})
    return searcher


def test_trials_that_ended_inside_the_space_are_learned_from_and_stopped_ones_carried_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = earlier(
        tmp_path,
        [
            (config(1e-3), "finished", [5.0, 3.0]),
            (config(1e-2), "stopped", [6.0]),
            (config(1e-4), "failed", [1.0]),
            (config(0.5), "finished", [1.0, 1.0]),
            (config(1e-3, norm="layer"), "finished", [1.0, 1.0]),
            ({"net": {"lr": 1e-3}}, "finished", [1.0, 1.0]),
            (config(1e-3), "running", [1.0]),
            (config(1e-3), "finished", [float("nan")]),
        ],
    )
    with caplog.at_level(logging.INFO, logger="search"):
        searcher = ready(run)
    assert [(o.params, o.loss) for o in searcher.observations()] == [
        ({"net/lr": 1e-3, "norm": None}, 3.0),
        ({"net/lr": 1e-2, "norm": None}, 4.0),
    ]
    assert "6 of the 8 trials" in caplog.text


@pytest.mark.parametrize("kind", ["gp", "tpe", "cmaes"])
def test_the_model_needs_no_start_up_when_it_knows_as_many_trials(kind: Any, tmp_path: Path) -> None:
    run = earlier(tmp_path, [(config(10**-e), "finished", [abs(e - 2.0), abs(e - 2.0)]) for e in (1.5, 2.0, 2.5, 3, 4)])
    searcher = ready(run, kind=kind, startup=5)
    suggested: Any = searcher.suggest("first")
    assert searcher.told["first"].suggestion.reason == "model"
    assert 1e-5 <= suggested["net"]["lr"] <= 1e-1
    assert ready(run, kind=kind, startup=6).propose(0).reason == "start-up"


def test_a_run_that_searched_for_something_else_is_named_with_both(tmp_path: Path) -> None:
    run = earlier(tmp_path, [(config(), "finished", [1.0, 2.0])], mode="max")
    with pytest.raises(SearchError, match=r"\('loss', 'min'\), got \('loss', 'max'\)"):
        ready(run).suggest("first")
    assert ready(run, mode="max").suggest("first")


def test_a_run_of_which_nothing_can_be_used_says_why(tmp_path: Path) -> None:
    run = earlier(tmp_path, [({"net": {"lr": 1e-3}}, "finished", [1.0, 2.0])])
    with pytest.raises(SearchError, match=r"cover \['net/lr', 'norm'\], found none among 1"):
        ready(run).suggest("first")
    with pytest.raises(SearchError, match="runs that can be read"):
        ready(str(tmp_path / "nowhere")).suggest("first")


def test_a_search_that_goes_on_does_not_need_the_earlier_run_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = earlier(tmp_path, [(config(), "finished", [1.0, 2.0])])
    searcher = ready(run)
    searcher.suggest("first")
    searcher.save(str(tmp_path / "state"))
    again = ready(run)
    again.restore(str(tmp_path / "state"))
    assert again.suggest("second") == searcher.suggest("second")
    shutil.rmtree(run)
    without = ready(run)
    without.restore(str(tmp_path / "state"))
    assert without.suggest("second")
    assert "Going on without" in caplog.text


def by_run(trial: Any) -> None:
    if trial.suggest_categorical("norm", ["batch", None]) is None:
        trial.suggest_float("net/lr", 1e-5, 1e-1, log=True)


def test_trials_of_one_branch_serve_a_define_by_run_space(tmp_path: Path) -> None:
    run = earlier(tmp_path, [({"norm": "batch"}, "finished", [1.0]), (config(), "finished", [2.0])])
    searcher = Bayesian(warm_start=[run], space=by_run, startup=1)
    searcher.set_search_properties("loss", "min", {})
    assert [o.params for o in searcher.observations()] == [{"norm": "batch"}, {"norm": None, "net/lr": 1e-3}]
    assert searcher.suggest("first")
