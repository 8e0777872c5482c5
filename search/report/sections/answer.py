"""The head of the page, answer first: what came out, what it cost, what to beware of, and how to do it again."""

import shlex

from search.report.markup import esc, note, trial_link
from search.report.sections.about import reproduce, when
from search.report.sections.baselines import told
from search.report.sections.tiles import gain_told, tiles
from search.report.sections.verdicts import Verdict, verdicts
from search.report.tables.costs import Costs, costs
from search.report.tables.ensemble import Gain, gains, shipped_gain, single_on_test
from search.report.tables.snapshot import Snapshot
from search.report.wording import count, method_name, metric_unit, number, python_config, with_unit


def answer(snap: Snapshot, command: str, price: float | None = None) -> str:
    """The head of the page: what came out, in a sentence, five numbers, a configuration, warnings, and how to do it
    again.

    Args:
        snap: the run.
        command: what makes an ensemble of it.
        price: dollars a GPU-hour, or a CPU-hour of a run without GPUs.
    """
    spent = costs(snap)
    scores = gains(snap)
    gain, tested = shipped_gain(scores), single_on_test(scores, snap.goal.metric)
    parts = [
        f"<header><p class=kicker>huetune search report</p><h1>{esc(_name(snap))}</h1>",
        f'<p class="lede">{_lede(snap, gain, tested)}</p><p class="meta">{_meta(snap)}</p>',
        _under_way(snap, spent),
        f'</header><div class="tiles">{"".join(tiles(snap, spent, gain, tested, command, price))}</div>',
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
    return f'<section id="answer">{"".join(parts)}{reproduce(snap.definition)}</section>'


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
    winner = trial_link(int(best["number"]))
    on_test = "" if tested is None else with_unit(number(tested), goal.unit)
    if snap.winner is not None:
        mean = with_unit(number(snap.winner.mean), goal.unit)
        seeds = count(len(snap.winner.scores), "fresh seed")
        text = f"The configuration of {winner} has the best mean over {seeds}: <strong>{mean}</strong>."
        if on_test:
            text += f" On the test split the best single model reaches <strong>{on_test}</strong>."
    else:
        score = with_unit(number(float(best["score"])), goal.unit)
        direction = "highest" if goal.maximize else "lowest"
        text = f"{winner} reached the {direction} {esc(goal.name)}: <strong>{score}</strong>."
        if on_test:
            text = f"{winner} won with {score} on validation; on the test split it reaches <strong>{on_test}</strong>."
    if snap.baselines:
        one = len(snap.baselines) == 1
        text += f" {'A baseline' if one else 'Baselines'}, on validation: {told(snap.baselines, goal)}."
    if gain is None:
        return text
    if gain.is_single:
        return f"{text} No blend was better on validation, so the ensemble is the best single model."
    amount = with_unit(gain_told(abs(gain.value)), metric_unit(gain.metric))
    method = esc(method_name(gain.method))
    if gain.low > 0:
        return f"{text} An ensemble of {gain.members} ({method}) gains another <strong>{amount}</strong> there."
    return f"{text} The ensemble of {gain.members} ({method}) is not clearly better than the best single model."


def _meta(snap: Snapshot) -> str:
    d = snap.definition
    how = " with ".join(str(d[k]) for k in ("method", "scheduler") if d.get(k))
    bits = [f"{count(len(snap.varying), 'parameter')} searched", how, when(d.get("started"))]
    return " · ".join(esc(bit) for bit in bits if bit)


def _under_way(snap: Snapshot, spent: Costs) -> str:
    status = str(snap.definition.get("status", "finished"))
    planned = snap.definition.get("trials")
    of = f" of {planned:,}" if isinstance(planned, int) else ""
    ended = f"{spent.trials - spent.running - spent.interrupted:,}{of} trials have ended"
    gone = "" if snap.definition.get("ended") else " Its driver is gone: <code>huetune resume</code> goes on with it."
    texts = {
        "running": f"<strong>This search is still running.</strong> {ended}; the numbers below will change.",
        "interrupted": f"<strong>This search was interrupted.</strong> {ended}; what they reported is below.{gone}",
        "failed": f"<strong>This search ended with an error.</strong> {ended}.",
    }
    return f'<p class="state">{texts[status]}</p>' if status in texts else ""


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
