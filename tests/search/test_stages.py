"""Stages: one search after another, each starting from what the ones before it found."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search import Search
from search.errors import SearchError
from search.jittered_grid import JitteredGrid, Refine
from search.method import FINISHED, SearchMethod
from search.samplers import Bayesian, Random
from search.space import Choice, Number, Space
from search.stages import Stages
from search.staging.retest import Retest
from search.staging.stage import Stage
from search.suggestion import Suggestion, Told

RATES = {"lr_g": tune.loguniform(1e-4, 1e-1), "lr_d": tune.loguniform(1e-5, 1e-2)}
REGULARISATION = {"weight_decay": tune.loguniform(1e-5, 1e-1), "net": {"norm": tune.choice(["batch", None])}}
CONSTANTS = {"data": "drawings", "net": {"width": 8}}
FIXED = {"weight_decay": 0, "net": {"norm": "batch"}}


class Listed(SearchMethod):
    """Tries the given points and ends."""

    ends = True

    def __init__(self, *points: dict[str, Any], lengths: tuple[int | None, ...] = (None,)) -> None:
        super().__init__()
        self.points, self.lengths = points, lengths
        self.ended: list[tuple[str, str, float | None]] = []

    def on_space(self) -> None:
        self.ended = []

    def propose(self, number: int) -> Suggestion | str:
        if number >= len(self.points):
            return FINISHED
        length = self.lengths[number % len(self.lengths)]
        return Suggestion(self.points[number], reason="listed", iterations=length, notes={"mine": number})

    def on_end(self, trial: Told) -> None:
        self.ended.append((trial.trial_id, trial.state, trial.value))


def three(**joint: Any) -> Stages:
    return Stages(
        [
            Stage("rates", space=RATES, fixed=FIXED, method=Random(), trials=4),
            Stage("regularisation", space=REGULARISATION, method=Random(), trials=4),
            Stage("joint", method=Bayesian("tpe", startup=2), trials=6, **joint),
            Retest(top=2, seeds=2),
        ]
    )


def ready(method: Stages, space: dict[str, Any] | None = None, iterations: int | None = 2, **others: Any) -> Stages:
    method.iterations = iterations
    for name, value in others.items():
        setattr(method, name, value)
    assert method.set_search_properties("loss", "min", CONSTANTS if space is None else space)
    return method


def cost(config: dict[str, Any]) -> float:
    distance = (math.log10(config["lr_g"]) + 2.5) ** 2 + (math.log10(config["lr_d"]) + 3) ** 2
    return distance + abs(config.get("weight_decay", 0) - 1e-3) + (config["net"]["norm"] is None)


Ending = Callable[[int], str]


def ok(number: int) -> str:
    return "ok"


def mixed(number: int) -> str:
    return "fail" if number % 4 == 3 else "pruned" if number % 5 == 4 else "ok"


class Driver:
    """What Ray does: keeps `concurrent` trials running and ends the oldest."""

    def __init__(self, method: Stages, concurrent: int = 1, ending: Ending = ok, loss: Any = cost) -> None:
        self.method, self.concurrent, self.ending, self.loss = method, concurrent, ending, loss
        self.configs: dict[str, dict[str, Any]] = {}
        self.running: list[str] = []

    def step(self) -> bool:
        """Suggest as much as there is room for, then end one trial; False after the last."""
        while len(self.running) < self.concurrent:
            trial = f"t{len(self.method.told)}"
            config = self.method.suggest(trial)
            if config is None:
                assert self.running, "waits while nothing runs"
                break
            if config == FINISHED:
                if not self.running:
                    return False
                break
            assert isinstance(config, dict)
            self.configs[trial] = config
            self.running.append(trial)
        self.end(self.running.pop(0))
        return True

    def end(self, trial: str) -> None:
        config, number = self.configs[trial], self.method.told[trial].number
        length = config.get("training_iteration", self.method.iterations)
        how = self.ending(number)
        if how == "fail":
            self.method.on_trial_complete(trial, None, error=True)
            return
        self.method.on_trial_result(trial, {"loss": self.loss(config) + 1, "training_iteration": 1})
        if how == "ok":
            self.method.on_trial_complete(trial, {"loss": self.loss(config), "training_iteration": length})
        else:
            self.method.on_trial_complete(trial, {"loss": self.loss(config) + 1, "training_iteration": 1})

    def run(self) -> "Driver":
        while self.step():
            assert len(self.method.told) < 200
        return self

    def stage(self, name: str) -> list[dict[str, Any]]:
        return [self.configs[i] for i, told in self.method.told.items() if told.suggestion.stage == name]

    def best(self, name: str) -> dict[str, Any]:
        return min(self.stage(name), key=self.loss)


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in {"seed", "training_iteration"}}


def test_a_stage_varies_its_own_parameters_and_fixes_the_rest_at_the_best_so_far() -> None:
    run = Driver(ready(three())).run()
    first, second = run.stage("rates"), run.stage("regularisation")
    assert (len(first), len(second), len(run.stage("joint")), len(run.stage("retest"))) == (4, 4, 6, 4)
    assert len({c["lr_g"] for c in first}) == 4
    assert {(c["weight_decay"], c["net"]["norm"], c["net"]["width"], c["data"]) for c in first} == {
        (0, "batch", 8, "drawings")
    }
    best = run.best("rates")
    assert {(c["lr_g"], c["lr_d"]) for c in second} == {(best["lr_g"], best["lr_d"])}
    assert len({c["weight_decay"] for c in second}) == 4
    assert all(c["weight_decay"] > 0 for c in second)


def test_a_stage_without_a_space_searches_all_axes_so_far() -> None:
    joint = Driver(ready(three())).run().stage("joint")
    for name in ("lr_g", "lr_d", "weight_decay"):
        assert len({c[name] for c in joint}) == 6, name


def test_axes_and_constants_of_the_search_itself_take_part() -> None:
    stages = Stages([Stage("one", space=RATES, method=Random(), trials=2), Stage("all", method=Random(), trials=2)])
    method = ready(stages, {**CONSTANTS, "net": {"norm": "batch"}, "weight_decay": 0.5})
    assert {c["weight_decay"] for c in Driver(method).run().configs.values()} == {0.5}
    only = Stages([Stage("one", fixed={"lr_d": 1e-3}, method=Random(), trials=2), Stage("all", method=Random())])
    method = ready(only, RATES)
    method.suggest("a")
    assert {axis.name for axis in method._parts[0].space.axes} == {"lr_g"}
    assert {axis.name for axis in method._plan.axes(1)} == {"lr_g", "lr_d"}


def test_what_an_earlier_stage_fixed_stays_unless_a_later_one_says_otherwise() -> None:
    stages = Stages(
        [
            Stage("a", space=RATES, fixed={"net": {"norm": None}, "depth": 3}, method=Random(), trials=1),
            Stage("b", space={"lr_g": RATES["lr_g"]}, method=Random(), trials=1),
            Stage("c", space={"lr_g": RATES["lr_g"], "depth": 4}, method=Random(), trials=1),
            Stage("d", method=Random(), trials=1),
        ]
    )
    configs = list(Driver(ready(stages)).run().configs.values())
    assert [(c["depth"], c["net"]["norm"]) for c in configs] == [(3, None), (3, None), (4, None), (4, None)]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_that_of_the_mean_over_seeds_and_of_the_mode(mode: str) -> None:
    class Twice(Listed):
        def propose(self, number: int) -> Suggestion | str:
            if number == 2:
                return Suggestion(self.points[0], replica_of=next(iter(self.told)))
            return super().propose(number)

    lucky, steady = {"x": 1.0}, {"x": 2.0}
    stages = Stages(
        [Stage("a", method=Twice(lucky, steady, {})), Stage("b", space={"y": tune.uniform(0, 1)}, method=Random())]
    )
    stages.set_search_properties("loss", mode, {"x": tune.uniform(0, 4), "y": 0.5})
    sign = 1 if mode == "min" else -1
    for trial, loss in (("lucky", 0.0), ("steady", 1.0), ("again", 4.0)):
        stages.suggest(trial)
        stages.on_trial_complete(trial, {"loss": sign * loss, "training_iteration": 1})
    config = stages.suggest("next")
    assert isinstance(config, dict)
    assert config["x"] == 2.0


def test_a_longer_trial_outranks_a_shorter_one_with_a_better_score() -> None:
    points, lengths = ({"x": 1.0}, {"x": 2.0}, {"x": 3.0}), (2, 6, 6)
    stages = Stages(
        [
            Stage("a", method=Listed(*points, lengths=lengths)),
            Stage("b", space={"y": tune.uniform(0, 1)}, method=Random(), trials=1),
        ]
    )
    run = Driver(ready(stages, {"x": tune.uniform(0, 4), "y": 0.5}), loss=lambda config: config["x"]).run()
    assert [c["x"] for c in run.stage("b")] == [2.0]


def test_search_around_the_best_keeps_inside_the_ranges_and_tries_the_best_first() -> None:
    run = Driver(ready(three(around=3.0))).run()
    best, joint = run.best("regularisation"), run.stage("joint")
    assert settings_of(joint[0]) == settings_of(best)
    for config in joint:
        for name, low, high in (("lr_g", 1e-4, 1e-1), ("lr_d", 1e-5, 1e-2), ("weight_decay", 1e-5, 1e-1)):
            assert max(low, best[name] / 3) * 0.999 <= config[name] <= min(high, best[name] * 3) * 1.001
    assert run.loss(run.best("joint")) <= run.loss(best)


def test_the_best_so_far_is_a_replica_under_the_same_conditions_and_a_new_configuration_under_others() -> None:
    def second_stage(**changed: Any) -> Suggestion:
        first = Stage("a", space=RATES, fixed=FIXED, method=Random(), trials=1)
        method = ready(Stages([first, Stage("b", method=Random(), trials=1, around=2.0, **changed)]))
        Driver(method).run()
        return method.told["t1"].suggestion

    assert second_stage().replica_of == "t0"
    assert second_stage().whole
    for changed in ({"budget": 2.0}, {"data_fraction": 0.5}, {"fixed": {"weight_decay": 1}}):
        suggestion = second_stage(**changed)
        assert (suggestion.replica_of, suggestion.reason) == (None, "best so far"), changed


def test_what_a_stage_fixes_holds_for_the_best_so_far_too() -> None:
    first = Stage("a", space=RATES, fixed=FIXED, method=Random(), trials=2)
    run = Driver(
        ready(Stages([first, Stage("b", method=Random(), trials=2, around=2.0, fixed={"weight_decay": 1})]))
    ).run()
    assert [c["weight_decay"] for c in run.configs.values()] == [0, 0, 1, 1]
    assert run.stage("b")[0]["lr_g"] == run.best("a")["lr_g"]


def test_a_trial_that_was_stopped_early_is_never_what_later_stages_start_from() -> None:
    method = ready(three())
    Driver(method, ending=lambda n: "ok" if n == 2 else "pruned", loss=lambda c: -1.0).run()
    third = method.config("t2")
    assert {method.config(f"t{n}")["lr_g"] for n in range(4, 8)} == {third["lr_g"]}


def test_a_model_learns_from_the_best_so_far_and_a_method_with_cells_never_sees_it() -> None:
    for method, known in ((Random(), 2), (Listed({"lr_g": 1e-3, "lr_d": 1e-3}), 1)):
        first = Stage("a", space=RATES, fixed=FIXED, method=Random(), trials=1)
        stages = ready(Stages([first, Stage("b", method=method, trials=2, around=100.0, fixed=FIXED)]))
        Driver(stages).run()
        assert len(stages.told) == 3
        assert len(stages._parts[1].method.told) == known


def test_a_method_is_told_of_its_own_trials_as_if_it_were_alone() -> None:
    points = ({"x": 1.0}, {"x": 2.0})
    space = {"x": tune.uniform(0, 4), "y": tune.uniform(0, 1)}
    stages = Stages(
        [Stage("a", space=space, method=Random(), trials=3), Stage("b", fixed={"y": 1}, method=Listed(*points))]
    )
    method = ready(stages, {"z": 0}, score="last")
    Driver(method, ending=lambda n: "fail" if n == 4 else "ok", loss=lambda c: c["x"]).run()
    inner = method._parts[1].method
    assert isinstance(inner, Listed)
    assert inner.ended == [("t3", "COMPLETE", 1.0), ("t4", "FAIL", None)]
    assert (inner.score, inner.iterations) == ("last", 2)
    assert inner.told["t3"].reports == {1: 2.0, 2: 1.0}
    assert [t.suggestion.notes for t in inner.told.values()] == [{"mine": 0}, {"mine": 1}]
    assert {t.suggestion.stage for t in inner.told.values()} == {None}


def test_the_next_stage_begins_when_all_trials_of_the_one_before_have_ended() -> None:
    method = ready(three())
    run = Driver(method, concurrent=3)
    for _ in range(3):
        run.step()
    # Four were allowed, three have ended: the last one still runs, alone.
    assert run.running == ["t3"]
    assert method.suggest("idle") is None
    run.step()
    assert [told.suggestion.stage for told in method.told.values()] == ["rates"] * 4
    run.step()
    assert method.told["t4"].suggestion.stage == "regularisation"


@pytest.mark.parametrize("concurrent", [1, 2, 5])
@pytest.mark.parametrize("ending", [ok, mixed])
def test_it_never_waits_while_nothing_runs_and_always_ends(concurrent: int, ending: Ending) -> None:
    method = three(around=4.0)
    assert method.ends
    run = Driver(ready(method), concurrent, ending).run()
    assert len(run.stage("joint")) == 6
    assert method.suggest("more") == FINISHED


def test_a_stage_whose_trials_all_fail_leaves_the_best_of_the_one_before() -> None:
    run = Driver(ready(three()), ending=lambda n: "fail" if 4 <= n < 8 else "ok").run()
    best = run.best("rates")
    known = {(c["lr_g"], c["lr_d"]) for c in run.stage("regularisation")}
    assert known == {(best["lr_g"], best["lr_d"])}
    assert len(run.stage("joint")) == 6
    only_failures = Driver(ready(three(around=4.0)), ending=lambda n: "fail" if n >= 4 else "ok").run()
    assert settings_of(only_failures.stage("joint")[0]) == settings_of(only_failures.best("rates"))


def test_without_any_score_settings_stand_at_what_is_fixed_or_in_the_middle_and_the_search_goes_on() -> None:
    method = ready(three(around=4.0))
    run = Driver(method, ending=lambda n: "fail").run()
    second = run.stage("regularisation")
    assert len(second) == 4
    for config in second:
        assert config["lr_g"] == pytest.approx(math.sqrt(1e-4 * 1e-1))
        assert config["lr_d"] == pytest.approx(math.sqrt(1e-5 * 1e-2))
    assert len({c["lr_g"] for c in run.stage("joint")}) == 6
    assert run.stage("retest") == []
    assert method.winner() is None


def test_a_fixed_value_stands_in_before_the_middle_of_a_range() -> None:
    later = Stage("later", space={"lr_g": RATES["lr_g"]}, method=Random(), trials=1)
    stages = Stages([Stage("a", fixed={"lr_d": 0.5}, method=Random(), trials=1), later])
    run = Driver(ready(stages, {**RATES, "net": {"norm": None}}), ending=lambda n: "fail").run()
    assert [c["lr_d"] for c in run.configs.values()] == [0.5, 0.5]


def test_a_budget_is_a_multiple_of_the_length_and_reaches_trial_and_method() -> None:
    stages = Stages(
        [Stage("short", space=RATES, method=Random(), trials=1, budget=0.25), Stage("full", method=Random())]
    )
    method = ready(stages, {"net": {"norm": None}}, iterations=8)
    config = method.suggest("a")
    assert isinstance(config, dict)
    assert config["training_iteration"] == 2
    assert method._parts[0].method.iterations == 2
    method.on_trial_complete("a", {"loss": 1.0, "training_iteration": 2})
    assert method.told["a"].state == method._parts[0].method.told["a"].state == "COMPLETE"
    config = method.suggest("b")
    assert isinstance(config, dict)
    assert "training_iteration" not in config
    with pytest.raises(SearchError, match="Expected iterations of the search for the budget of the stage 'short'"):
        ready(Stages(stages.stages), {"net": {"norm": None}}, iterations=None)


def test_a_share_of_the_data_is_a_setting_of_its_stage_and_one_in_all_others() -> None:
    stages = [Stage("a", space=RATES, method=Random(), trials=1), Stage("b", method=Random(), trials=1)]
    part = Stage("part", method=Random(), trials=1, data_fraction=0.2)
    run = Driver(ready(Stages([stages[0], part, stages[1]]), {"net": {"norm": None}})).run()
    assert [c["data_fraction"] for c in run.configs.values()] == [1.0, 0.2, 1.0]
    without = Driver(ready(Stages(stages), {"net": {"norm": None}})).run()
    assert all("data_fraction" not in c for c in without.configs.values())


def test_the_same_method_in_two_stages_shares_nothing() -> None:
    method = Random()
    stages = Stages([Stage("a", space=RATES, method=method, trials=2), Stage("b", method=method, trials=2)])
    run = Driver(ready(stages, {"net": {"norm": None}})).run()
    assert method.told == {}
    assert [len(part.method.told) for part in stages._parts.values()] == [2, 2]
    assert len({c["lr_g"] for c in run.configs.values()}) == 4


def test_the_same_seed_and_events_give_the_same_suggestions() -> None:
    first, second, other = (Driver(ready(three(around=5.0), seed=seed), 2, mixed).run() for seed in (3, 3, 4))
    assert first.configs == second.configs
    assert first.configs != other.configs


def test_every_trial_has_a_seed_of_its_own_unless_the_space_gives_one() -> None:
    seeds = [c["seed"] for c in Driver(ready(three())).run().configs.values()]
    assert len(set(seeds)) == len(seeds)
    run = Driver(ready(three(), {**CONSTANTS, "seed": 7})).run()
    assert {c["seed"] for c in run.configs.values()} == {7}


def near_three() -> Stages:
    return three(around=5.0)


def with_a_grid() -> Stages:
    grid = JitteredGrid(factor=10, refine=[Refine(factor=3, around=1, budget=2.0)])
    rates = {"lr_g": tune.loguniform(1e-5, 1e-2), "lr_d": tune.loguniform(1e-4, 1e-2)}
    return Stages(
        [
            Stage("rates", space=rates, fixed=FIXED, method=grid, data_fraction=0.5),
            Stage("joint", space={"lr_g": rates["lr_g"], **REGULARISATION}, method=Random(), trials=4, around=3.0),
            Retest(top=2, seeds=2),
        ]
    )


@pytest.mark.parametrize(
    ("make", "at"), [(near_three, at) for at in range(0, 22, 2)] + [(with_a_grid, at) for at in range(1, 40, 6)]
)
def test_restored_at_any_moment_it_goes_on_as_if_nothing_had_happened(
    make: Callable[[], Stages], at: int, tmp_path: Path
) -> None:
    first = Driver(ready(make(), seed=1), 3, mixed)
    for _ in range(at):
        first.step()
    first.method.save(str(tmp_path / "state"))
    second = Driver(ready(make()), 3, mixed)
    for _ in range(6):
        second.step()  # whatever it did before is forgotten
    second.method.restore(str(tmp_path / "state"))
    second.configs, second.running = dict(first.configs), list(first.running)
    for trial in second.method.told:
        assert second.method.config(trial) == first.configs[trial]
    assert first.run().configs == second.run().configs
    assert first.method.told == second.method.told
    assert {k: p.method.told for k, p in first.method._parts.items()} == {
        k: p.method.told for k, p in second.method._parts.items()
    }


def test_values_that_json_does_not_know_are_found_again(tmp_path: Path) -> None:
    shapes = tune.choice([(1, 2), (3, 4), {"a": 1}])
    stages = [
        Stage("a", space={"shape": shapes}, method=Random(), trials=3),
        Stage("b", space={"y": tune.uniform(0, 1)}),
    ]
    first, second = (ready(Stages(stages), {"y": 0.5}) for _ in range(2))
    run = Driver(first, loss=lambda config: float(config["shape"] != (3, 4)))
    for _ in range(4):
        run.step()
    json.dumps(first._events)
    first.save(str(tmp_path / "state"))
    second.restore(str(tmp_path / "state"))
    assert first.suggest("next") == second.suggest("next")
    assert second.config("next")["shape"] == run.best("a")["shape"]


def test_the_space_of_the_record_holds_every_axis_at_its_widest() -> None:
    narrow = {"lr_g": tune.loguniform(1e-3, 1.0), "norm": tune.choice(["batch", "group"])}
    stages = Stages(
        [Stage("a", space=RATES, fixed={"norm": "none"}, method=Random(), trials=1), Stage("b", space=narrow)]
    )
    space = stages.whole_space(
        Space.from_domains({"norm": tune.choice(["none", "batch"]), "data": "here", "lr_d": 1.0})
    )
    assert {axis.name: axis for axis in space.axes} == {
        "lr_g": Number("lr_g", 1e-4, 1.0, log=True),
        "lr_d": Number("lr_d", 1e-5, 1e-2, log=True),
        "norm": Choice("norm", ("none", "batch", "group")),
    }
    assert space.constants == (("data", "here"),)


def test_a_range_that_a_method_widens_is_searched_around_beyond_its_old_end() -> None:
    class Wide(Listed):
        def whole_space(self, space: Space) -> Space:
            return Space(tuple(Number(a.name, 0.001, 1000, log=True) for a in space.axes), space.constants)

    def second(**how: Any) -> SearchMethod:
        first = Stage("a", space={"x": tune.loguniform(1, 10)}, method=Wide({"x": 40.0}, {"x": 5.0}))
        method = ready(Stages([first, Stage("b", method=Random(), trials=1, **how)]), {"y": 0})
        assert [axis.high for axis in method.whole_space(method.space).axes] == [1000]
        Driver(method, loss=lambda config: -config["x"]).run()
        return method._parts[1].method

    assert second().space.axes == (Number("x", 1, 40.0, log=True),)
    assert second(around=4.0).space.axes == (Number("x", 10.0, 160.0, log=True),)


def bowl(config: dict[str, Any]) -> None:
    for iteration in range(config.get("training_iteration", 2)):
        if config["lr_g"] > 0.05:
            raise ValueError("diverged")
        noise = (config["seed"] % 101) / 1000
        tune.report({"loss": cost(config) + noise + 1 / (1 + iteration)})


def small() -> Stages:
    return Stages(
        [
            Stage("rates", space=RATES, fixed=FIXED, method=Random(), trials=4, budget=0.5, data_fraction=0.5),
            Stage("regularisation", space=REGULARISATION, method=Random(), trials=3),
            Stage("joint", method=Bayesian("tpe", startup=2), trials=3, around=3.0),
            Retest(top=2, seeds=2),
        ]
    )


@pytest.mark.usefixtures("cluster")
def test_stages_run_in_a_plain_tuner_to_their_own_end(tmp_path: Path) -> None:
    tuner = tune.Tuner(
        bowl,
        param_space=CONSTANTS,
        tune_config=tune.TuneConfig(metric="loss", mode="min", search_alg=small(), num_samples=50),
        run_config=tune.RunConfig(storage_path=str(tmp_path), stop={"training_iteration": 2}, verbose=0),
    )
    configs = [result.config for result in tuner.fit()]
    assert all(config is not None for config in configs)
    assert [c["data_fraction"] for c in configs if c] == [0.5] * 4 + [1.0] * 10


@pytest.mark.usefixtures("cluster")
def test_stages_run_in_a_search_and_the_record_names_each_stage_and_replica(tmp_path: Path) -> None:
    search = Search(
        trainable=bowl, space=CONSTANTS, metric="loss", mode="min", iterations=2, method=small(), concurrent=2
    )
    table = search.run("stages", str(tmp_path)).table()
    assert table["stage"].value_counts(sort=False).to_dict() == {
        "rates": 4, "regularisation": 3, "joint": 3, "retest": 4
    }  # fmt: skip
    joint, retest = (table[table["stage"] == name] for name in ("joint", "retest"))
    assert joint["reason"].iloc[0] == "best so far"
    assert set(retest["reason"]) == {"retest"}
    for column in ("lr_g", "lr_d", "weight_decay", "net/norm"):
        assert retest.groupby("configuration")[f"config.{column}"].nunique(dropna=False).tolist() == [1, 1]
    assert retest["config.seed"].nunique() == 4
