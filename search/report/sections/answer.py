"""The head of the page, answer first: what came out, what it cost, what to beware of."""

import math
import shlex

from search.report.markup import esc, note, trial_link
from search.report.sections.about import when
from search.report.sections.verdicts import Verdict, verdicts
from search.report.tables.costs import Costs, costs
from search.report.tables.ensemble import Gain, gains, shipped_gain, single_on_test
from search.report.tables.snapshot import Snapshot
from search.report.wording import (
    DASH,
    count,
    duration,
    method_name,
    metric_name,
    metric_unit,
    number,
    python_config,
    with_unit,
)


def answer(snap: Snapshot, command: str) -> str:
    """The head of the page: what came out, in a sentence, five numbers, a configuration and warnings."""
    spent = costs(snap)
    scores = gains(snap)
    gain, tested = shipped_gain(scores), single_on_test(scores, snap.goal.metric)
    parts = [
        f"<header><p class=kicker>huetune search report</p><h1>{esc(_name(snap))}</h1>",
        f'<p class="lede">{_lede(snap, gain, tested)}</p><p class="meta">{_meta(snap, spent)}</p>',
        _under_way(snap, spent),
        f'</header><div class="tiles">{"".join(_tiles(snap, spent, gain, tested, command))}</div>',
    ]
    warned = verdicts(snap)
    found = f'<div class="verdicts">{"".join(_verdict(v) for v in warned)}</div>'
    if snap.best is None:
        failed = snap.trials[snap.trials["status"] == "failed"]
        why = "no trial has reported a score yet" if len(failed) < len(snap.trials) or not len(failed) else "all failed"
        parts.append(f'<div class="pair">{note(f"There is no winning configuration: {why}.")}{found}</div>')
    else:
        best = snap.trial(snap.best)
        code = esc(python_config(snap.config(snap.best)))
        about = f"{trial_link(int(best['number']))}, after {count(int(best['iterations']), 'iteration')}"
        kept = f" · checkpoint <code>{esc(best['checkpoint'])}</code>" if isinstance(best["checkpoint"], str) else ""
        parts.append(
            f'<div class="pair"><div class="card code"><h3>The winning configuration</h3>'
            f'<button type="button" class="copy" data-copy="winner">Copy</button>'
            f'<pre tabindex="0" id="winner"><code>{code}</code></pre>'
            f'<p class="caption">{about}{kept}</p></div>'
            f"{found if warned else _all_clear()}</div>"
        )
    return f'<section id="answer">{"".join(parts)}</section>'


def default_command(snap: Snapshot) -> str:
    """The command that makes an ensemble of this run."""
    return f"huetune ensemble {shlex.quote('runs/' + _name(snap))}"


def _name(snap: Snapshot) -> str:
    return str(snap.definition.get("name") or "search")


def _lede(snap: Snapshot, gain: Gain | None, tested: float | None) -> str:
    """The outcome in a sentence or two. A score that chose the winner is never told as what the winner is worth."""
    if snap.best is None:
        return "No trial has a score yet."
    best, goal = snap.trial(snap.best), snap.goal
    score = with_unit(number(float(best["score"])), goal.unit)
    direction = "highest" if goal.maximize else "lowest"
    winner = trial_link(int(best["number"]))
    if tested is None and snap.winner is not None:
        mean = with_unit(number(snap.winner.mean), goal.unit)
        seeds = count(len(snap.winner.scores), "fresh seed")
        text = f"The configuration of {winner} has the best mean over {seeds}: <strong>{mean}</strong>."
    elif tested is None:
        text = f"{winner} reached the {direction} {esc(goal.name)}: <strong>{score}</strong>."
    else:
        on_test = with_unit(number(tested), goal.unit)
        text = f"{winner} won with {score} on validation; on the test split it reaches <strong>{on_test}</strong>."
    if gain is None:
        return text
    if gain.is_single:
        return f"{text} No blend was better on validation, so the ensemble is the best single model."
    amount = with_unit(_gain(abs(gain.value)), metric_unit(gain.metric))
    method = esc(method_name(gain.method))
    if gain.low > 0:
        return f"{text} An ensemble of {gain.members} ({method}) gains another <strong>{amount}</strong> there."
    return f"{text} The ensemble of {gain.members} ({method}) is not clearly better than the best single model."


def _gain(value: float, sign: bool = False) -> str:
    """Two significant digits below 1, three above: what an interval of such gains can carry."""
    return number(value, 2 if abs(value) < 1 else 3, sign=sign)


def _meta(snap: Snapshot, spent: Costs) -> str:
    d = snap.definition
    how = " with ".join(str(d[k]) for k in ("method", "scheduler") if d.get(k))
    bits = [
        count(spent.trials, "trial"),
        f"{count(len(snap.varying), 'parameter')} searched",
        how,
        when(d.get("started")),
    ]
    return " · ".join(esc(bit) for bit in bits if bit)


def _under_way(snap: Snapshot, spent: Costs) -> str:
    status = str(snap.definition.get("status", "finished"))
    planned = snap.definition.get("trials")
    of = f" of {planned:,}" if isinstance(planned, int) else ""
    ended = f"{spent.trials - spent.running - spent.interrupted:,}{of} trials have ended"
    texts = {
        "running": f"<strong>This search is still running.</strong> {ended}; the numbers below will change.",
        "interrupted": f"<strong>This search was interrupted.</strong> {ended}; what they reported is below.",
        "failed": f"<strong>This search ended with an error.</strong> {ended}.",
    }
    return f'<p class="state">{texts[status]}</p>' if status in texts else ""


def _tiles(snap: Snapshot, spent: Costs, gain: Gain | None, tested: float | None, command: str) -> list[str]:
    goal = snap.goal
    score = snap.trial(snap.best)["score"] if snap.best is not None else None
    direction = "higher is better" if goal.maximize else "lower is better"
    if tested is None:
        about = f"{esc(goal.name)}, {direction}; the score that chose the winner"
        if snap.winner is not None:
            seeds = count(len(snap.winner.scores), "fresh seed")
            spread = "" if math.isnan(snap.winner.spread) else f" ± {number(snap.winner.spread, 2)}"
            about = (
                f"{esc(goal.name)}, {direction}; the winner's mean is {number(snap.winner.mean)}{spread} over {seeds}"
            )
        tiles = [_tile("Best score", number(score), goal.unit, about, "first")]
    else:
        about = f"{esc(goal.name)} on test, {direction}; {number(score)} on validation chose it"
        tiles = [_tile("Best single model", number(tested), goal.unit, about, "first")]
    if gain is None:
        tiles.append(_tile("Ensemble's gain", DASH, "", f"none yet: <code>{esc(command)}</code>"))
    elif gain.is_single:
        tiles.append(_tile("Ensemble's gain", DASH, "", "no blend was better than the best single model on validation"))
    else:
        between = f"{_gain(gain.low, sign=True)} to {_gain(gain.high, sign=True)}"
        about = f"{esc(metric_name(gain.metric))} on test, 95\N{NO-BREAK SPACE}% interval {between}"
        tiles.append(_tile("Ensemble's gain", _gain(gain.value, sign=True), metric_unit(gain.metric), about))
    states = {"finished": spent.finished, "stopped early": spent.stopped, "failed": spent.failed,
              "running": spent.running, "interrupted": spent.interrupted}  # fmt: skip
    told = ", ".join(f"{n:,} {state}" for state, n in states.items() if n or state in ("finished", "failed"))
    tiles.append(_tile("Trials", f"{spent.trials:,}", "", told))
    gpus = f", {duration(spent.gpu_seconds)} of GPU" if spent.gpu_seconds else ""
    tiles.append(
        _tile(
            "Time",
            duration(spent.wall_seconds),
            "",
            f"{duration(spent.trial_seconds)} of training in all{gpus}",
        )
    )
    full = spent.iterations_run + spent.iterations_saved
    if spent.iterations_saved:
        share = f"{100 * spent.iterations_saved / full:.0f}"
        about = f"of {full:,} iterations not run, about {duration(spent.seconds_saved)} of training"
        tiles.append(_tile("Saved by stopping early", share, "%", about))
    else:
        tiles.append(_tile("Saved by stopping early", DASH, "", f"no trial was stopped; {full:,} iterations ran"))
    return tiles


def _tile(label: str, value: str, unit: str, about: str, css: str = "") -> str:
    small = f' <span class="unit">{esc(unit)}</span>' if unit and value != DASH else ""
    long = " long" if len(value) > 8 else ""
    return (
        f'<div class="tile {css}{long}"><div class="label">{esc(label)}</div>'
        f'<div class="value">{esc(value)}{small}</div><div class="about">{about}</div></div>'
    )


def _verdict(verdict: Verdict) -> str:
    links = ", ".join(trial_link(n) for n in verdict.trials)
    more = f' <span class="links">{links}</span>' if links else ""
    return f'<div class="verdict"><h3>{esc(verdict.title)}</h3><p>{esc(verdict.text)}{more}</p></div>'


def _all_clear() -> str:
    text = (
        "There is no sign that the winner is tied with the second, lies at the edge of a range or was still "
        "improving, and no trial failed."
    )
    inside = f'<div class="verdict clear"><h3>Nothing to warn of</h3><p>{text}</p></div>'
    return f'<div class="verdicts">{inside}</div>'
