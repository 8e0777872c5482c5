"""The five numbers at the head of the page: score, gain, cost, what was saved, trials."""

import math

from search.finalists import Finalist
from search.report.markup import esc
from search.report.tables.costs import Costs
from search.report.tables.ensemble import Gain
from search.report.tables.snapshot import Snapshot
from search.report.wording import DASH, count, duration, metric_name, metric_unit, number, plain


def tiles(
    snap: Snapshot, spent: Costs, gain: Gain | None, tested: float | None, command: str, price: float | None
) -> list[str]:
    """The five numbers, each in its tile. `price` is in dollars an hour of what the run is counted in."""
    return [
        _score_tile(snap, tested),
        _gain_tile(gain, command),
        _cost_tile(spent, price),
        _saved_tile(spent, price),
        _trials_tile(spent),
    ]


def gain_told(value: float, sign: bool = False) -> str:
    """Two significant digits below 1, three above: what an interval of such gains can carry."""
    return number(value, 2 if abs(value) < 1 else 3, sign=sign)


def _score_tile(snap: Snapshot, tested: float | None) -> str:
    """What the winner is worth: measured on test, else over fresh seeds, else plainly what chose it."""
    goal, winner = snap.goal, snap.winner
    direction = "higher is better" if goal.maximize else "lower is better"
    score = number(snap.trial(snap.best)["score"]) if snap.best is not None else DASH
    over = _over_seeds(winner) if winner is not None else ""
    if tested is not None:
        on_validation = f"on validation its mean is {number(winner.mean)}{over}" if winner is not None else ""
        about = f"{esc(goal.name)} on test, {direction}; {on_validation or f'{score} on validation chose it'}"
        return _tile("Best single model", number(tested), goal.unit, about, "first")
    if winner is not None:
        about = f"{esc(goal.name)}{over}, on validation; {direction}"
        return _tile("Winner's mean score", number(winner.mean), goal.unit, about, "first")
    chosen = "; it chose the winner, so expect less on new data" if snap.best is not None else ""
    about = f"{esc(goal.name)} on validation, {direction}{chosen}"
    return _tile("Best score", score, goal.unit, about, "first")


def _over_seeds(winner: Finalist) -> str:
    """ " ± 0.12 over 3 fresh seeds" """
    spread = "" if math.isnan(winner.spread) else f" ± {number(winner.spread, 2)}"
    return f"{spread} over {count(len(winner.scores), 'fresh seed')}"


def _gain_tile(gain: Gain | None, command: str) -> str:
    if gain is None:
        return _tile("Ensemble's gain", DASH, "", f"none yet: <code>{esc(command)}</code>")
    if gain.is_single:
        return _tile("Ensemble's gain", DASH, "", "no blend was better than the best single model on validation")
    between = f"{gain_told(gain.low, sign=True)} to {gain_told(gain.high, sign=True)}"
    about = f"{esc(metric_name(gain.metric))} on test, 95\N{NO-BREAK SPACE}% interval {between}"
    return _tile("Ensemble's gain", gain_told(gain.value, sign=True), metric_unit(gain.metric), about)


def _cost_tile(spent: Costs, price: float | None) -> str:
    hours = _hours(spent.device_seconds)
    wall = "" if math.isnan(spent.wall_seconds) else f"{duration(spent.wall_seconds)} from start to end"
    if price is None:
        training = f"{duration(spent.trial_seconds)} of training in all"
        about = "; ".join(filter(None, [training, wall]))
        return _tile("Cost", hours, f"{spent.device} h", about)
    about = f"{hours} {spent.device}-hours at {_dollars(price)} each"
    return _tile("Cost", _dollars(spent.device_seconds / 3600 * price), "", "; ".join(filter(None, [about, wall])))


def _saved_tile(spent: Costs, price: float | None) -> str:
    full = spent.iterations_run + spent.iterations_saved
    if not spent.iterations_saved:
        return _tile("Saved by stopping early", DASH, "", f"no trial was stopped; {full:,} iterations ran")
    hours = _hours(spent.device_seconds_saved)
    worth = f", {_dollars(spent.device_seconds_saved / 3600 * price)}" if price is not None else ""
    about = f"of {full:,} iterations not run: about {hours} {spent.device}-hours{worth}"
    return _tile("Saved by stopping early", f"{100 * spent.share_saved:.0f}", "%", about)


def _trials_tile(spent: Costs) -> str:
    states = {"finished": spent.finished, "stopped early": spent.stopped, "failed": spent.failed,
              "running": spent.running, "interrupted": spent.interrupted}  # fmt: skip
    told = ", ".join(f"{n:,} {state}" for state, n in states.items() if n or state in ("finished", "failed"))
    memory = f" ({spent.out_of_memory:,} for want of memory)" if spent.out_of_memory else ""
    return _tile("Trials", f"{spent.trials:,}", "", told + memory)


def _tile(label: str, value: str, unit: str, about: str, css: str = "") -> str:
    small = f' <span class="unit">{esc(unit)}</span>' if unit and value != DASH else ""
    long = " long" if len(value) + 0.6 * len(unit) > 7.2 else ""
    return (
        f'<div class="tile {css}{long}"><div class="label">{esc(label)}</div>'
        f'<div class="value">{esc(value)}{small}</div><div class="about">{about}</div></div>'
    )


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return "< 0.001" if 0 < hours < 0.001 else plain(hours, 3)


def _dollars(amount: float) -> str:
    """Whole dollars from a hundred on, cents below, two digits where even cents are too coarse."""
    if 0 < amount < 0.1:
        return f"${plain(amount, 2)}" if amount >= 0.001 else "< $0.001"
    return f"${amount:,.2f}" if amount < 100 else f"${amount:,.0f}"
