"""The answer at the head of a report: five numbers, what to beware of, and how to do it again."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest
import report_run as runs

from search.report.sections.about import reproduce
from search.report.sections.answer import answer
from search.report.sections.verdicts import verdicts
from search.report.tables.costs import costs
from search.report.tables.snapshot import snapshot
from search.results import Results


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(40, ensemble=False)


def tiles(run, **options):
    """Label -> value with its unit, and what stands below."""
    found = re.findall(
        r'class="label">(.*?)</div><div class="value">(.*?)</div><div class="about">(.*?)</div>',
        answer(snapshot(run), "huetune ensemble runs/x", **options),
    )
    plain = [[html.unescape(re.sub(r"<[^>]+>", "", text)) for text in tile] for tile in found]
    return {label: (value, about) for label, value, about in plain}


def retested(run, *scores):
    """The run with finalists trained again: for each its scores, the first of them with the first trials."""
    trials = run.trials.assign(reason="model", configuration=run.trials["number"])
    rows = iter(trials.index[::-1])
    for number, values in enumerate(scores, start=1):
        for score in values:
            columns = ["status", "reason", "configuration", "score"]
            trials.loc[next(rows), columns] = ["finished", "retest", number, score]
    return replace(run, trials=trials)


def test_there_are_five_numbers(run):
    assert [*tiles(run)] == ["Best score", "Ensemble's gain", "Cost", "Saved by stopping early", "Trials"]
    assert len(tiles(runs.synthetic_run(12))) == 5


def test_a_score_without_a_retest_is_plainly_what_chose_the_winner(run):
    value, about = tiles(run)["Best score"]

    assert value == f"{run.trials['score'].max():.2f} dB"
    assert "on validation" in about
    assert "it chose the winner" in about


def test_where_finalists_were_trained_again_the_score_is_their_mean_with_its_spread(run):
    value, about = tiles(retested(run, [21.0, 21.2, 21.4], [20.0, 20.1, 20.2]))["Winner's mean score"]

    assert value == "21.20 dB"
    assert about.startswith("PSNR ± 0.20 over 3 fresh seeds, on validation")


def test_the_spread_over_seeds_stands_beside_the_score_on_test():
    value, about = tiles(retested(runs.synthetic_run(40), [21.0, 21.2, 21.4], [20.0, 20.1]))["Best single model"]

    assert value == "19.37 dB"
    assert "on validation its mean is 21.20 ± 0.20 over 3 fresh seeds" in about


def test_gpu_hours_are_priced(run):
    hours = run.trials["seconds"].sum() / 2 / 3600
    bare, priced = tiles(run)["Cost"], tiles(run, price=2.5)["Cost"]

    assert bare[0] == f"{hours:.3g} GPU h"
    assert priced[0] == f"${2.5 * hours:.2f}"
    assert f"{hours:.3g} GPU-hours at $2.50 each" in priced[1]


def test_without_gpus_hours_of_processors_are_counted_and_priced(run):
    cpu = replace(run, trials=run.trials.assign(**{"resources.gpu": 0.0, "resources.cpu": 4.0}))
    hours = 4 * run.trials["seconds"].sum() / 3600

    assert tiles(cpu)["Cost"][0] == f"{hours:.3g} CPU h"
    assert tiles(cpu, price=0.05)["Cost"][0] == f"${0.05 * hours:.2f}"
    old = replace(run, trials=run.trials.drop(columns=["resources.gpu", "resources.cpu"]))
    assert tiles(old)["Cost"][0] == f"{hours / 4:.3g} CPU h"


def test_what_early_stopping_saved_is_told_in_hours_and_dollars(run):
    spent = costs(snapshot(run))
    stopped = run.trials[run.trials["status"] == "stopped"]
    saved = ((12 - stopped["iterations"]) * stopped["seconds"] / stopped["iterations"]).sum() / 2

    assert spent.device_seconds_saved == pytest.approx(saved)
    value, about = tiles(run, price=1000)["Saved by stopping early"]
    assert value == f"{100 * spent.share_saved:.0f} %"
    assert f"GPU-hours, ${1000 * saved / 3600:,.0f}" in about
    none = replace(run, trials=run.trials.assign(status="finished"))
    assert tiles(none)["Saved by stopping early"][0] == "–"


def test_a_trial_that_its_stage_gave_few_iterations_saves_no_more_than_those(run):
    short = replace(run, trials=run.trials.assign(**{"config.training_iteration": 6.0}))
    stopped = run.trials[run.trials["status"] == "stopped"]

    assert costs(snapshot(short)).iterations_saved == (6 - stopped["iterations"]).clip(lower=0).sum()


def test_trials_that_ran_out_of_memory_are_told_from_others(run):
    trials = run.trials.copy()
    failed = trials.index[trials["status"] == "failed"]
    trials.loc[failed[:2], "status"] = "out of memory"
    lost = replace(run, trials=trials)

    assert "5 failed (2 for want of memory)" in tiles(lost)["Trials"][1]
    assert "5 trials failed, 2 of them for want of memory" in titles(lost)
    assert "memory" not in titles(run)


def titles(run):
    return " | ".join(verdict.title for verdict in verdicts(snapshot(run)))


def test_many_failures_of_one_reason_are_said_to_be_one(run):
    trials = run.trials.copy()
    trials.loc[:9, ["status", "score"]] = ["failed", np.nan]
    trials.loc[:9, "error"] = [f"RuntimeError: no file shard-{i}" for i in range(10)]

    assert "14 trials failed, 35 % of all, 10 of them for one reason" in titles(replace(run, trials=trials))


def test_trials_that_were_interrupted_and_never_went_on_are_warned_of(run):
    trials = run.trials.copy()
    trials.loc[[3, 4], "status"] = "interrupted"
    ended = replace(run, trials=trials)

    assert "2 trials were interrupted and never went on" in titles(ended)
    assert "interrupted" not in titles(replace(ended, definition={**run.definition, "status": "running"}))


def test_a_winner_within_noise_of_the_second_finalist_is_warned_of(run):
    close = retested(run, [21.0, 21.4, 21.9], [20.9, 21.3, 21.7])
    (verdict,) = [v for v in verdicts(snapshot(close)) if "noise" in v.title]

    assert "0.13\N{NO-BREAK SPACE}dB ahead" in verdict.text
    assert set(verdict.trials) == {1, 2}
    clear = titles(retested(run, [21.0, 21.1, 21.2], [19.0, 19.1, 19.2]))
    assert "noise" not in clear
    assert "hardly ahead" not in clear


def test_finalists_of_one_seed_each_are_not_told_apart(run):
    assert "not told from the second" in titles(retested(run, [21.0], [20.9]))


def test_the_command_is_there_to_copy_with_its_commit_and_its_seed(run):
    text = reproduce(run.definition)
    (block,) = re.findall(r'<pre tabindex="0" id="reproduce"><code>(.*?)</code>', text, re.DOTALL)

    assert html.unescape(block).splitlines() == [
        "git checkout 0123abc",
        "huetune run searches/quick.py --data drawings-48 --name spring-colours",
    ]
    assert 'data-copy="reproduce"' in text
    assert "seed 0" in text
    assert 'id="reproduce"' in answer(snapshot(run), "x")


def test_trials_that_were_added_later_are_part_of_the_command(run):
    sessions = [{"command": run.definition["command"]}, {"command": "huetune extend runs/x --trials 9"}]
    sessions += [{"command": "huetune resume runs/x"}]

    text = reproduce({**run.definition, "sessions": sessions})
    assert "huetune extend runs/x --trials 9" in text
    assert "huetune resume" not in text


def test_a_run_started_by_another_name_of_the_program_is_told_as_huetune(run):
    wrapped = {**run.definition, "command": "cli.py run q.py", "file": "q.py", "arguments": ["--data", "a b"]}

    assert "huetune run q.py --data &#x27;a b&#x27; --name spring-colours" in reproduce(wrapped)


def test_a_run_from_python_says_so_in_place_of_a_command(run):
    text = reproduce({**run.definition, "command": "ipykernel_launcher.py -f k.json", "file": None})

    assert "was started from Python, by <code>ipykernel_launcher.py -f k.json</code>" in text
    assert 'id="reproduce"' not in text
    assert "0123abc" in text
    assert "started from Python" in reproduce({})


def test_the_log_of_a_crash_is_read_from_its_end(run, tmp_path):
    text = "\n".join(f"line {i}" for i in range(1000))
    results = Results(runs.write_run(replace(run, logs={7: text, 20: "x" * 9000}), tmp_path / "run"))

    assert results.log(7).splitlines() == [f"line {i}" for i in range(960, 1000)]
    assert results.log(20) == "x" * 4096
    assert results.log(8) is None
    assert set(snapshot(results).logs) == {7, 20}


def test_of_very_many_crashes_the_logs_of_different_ones_are_read(run):
    trials = runs.synthetic_run(300, ensemble=False).trials.assign(status="failed", score=np.nan)
    trials["error"] = [f"RuntimeError: step {n}" for n in trials["number"][:-1]] + ["OSError: disk full"]
    many = replace(run, trials=trials, logs=dict.fromkeys(trials["number"], "log"))

    logs = snapshot(many).logs
    assert len(logs) == 200
    assert 300 in logs
