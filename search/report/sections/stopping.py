"""Early stopping: how far trials came, and whether one of the stopped would have won."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import esc
from search.report.plots.stopping import MOST_ROWS, rung_survival_figure, stopping_regret_figure
from search.report.tables.regret import stopping_regret
from search.report.tables.snapshot import Snapshot
from search.report.tables.stopping import rung_survival
from search.report.wording import count, plain, with_unit


def _survival(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    stopped, trials, lengths = int(table["stopped"].sum()), table.attrs["trials"], table.attrs["lengths"]
    found = f"{stopped:,} of {count(trials, 'trial')} were stopped early"
    merged = " Neighbouring iterations are merged." if (table["first"] != table["last"]).any() else ""
    several = ""
    if len(lengths) > 1:
        told = ", ".join(f"{length:,}" for length in lengths[:-1]) + f" and {lengths[-1]:,}"
        several = f" Trials have several lengths ({told} iterations); each ran in full at its own."
    known = table.dropna(subset=["agreement"])
    agreement = ""
    if len(known):
        row = known.iloc[0]
        between = f"{plain(row['agreement_low'], 2)} to {plain(row['agreement_high'], 2)}"
        agreement = (
            f" Among {count(int(row['pairs']), 'trial')} of full length, the order at iteration {row['rung']} is that"
            f" of the end to a Kendall's tau of {plain(row['agreement'], 2)} ({between}; 0 is chance, 1 the same"
            " order). These are the better trials; among all of them it is likely higher."
        )
    caption = (
        f"{found}. A bar is the trials that came to an iteration at which some were stopped; above it, the share that"
        f" was cut there.{merged}{several}{agreement}"
    )
    steps = ", ".join(f"{row.stopped} of {row.came} at {row.rung}" for row in table.itertuples())
    return Drawn(rung_survival_figure(table), caption, f"{found}: {steps}. {table.attrs['full']} ran in full.")


def _regret(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    goal, told = snap.goal, table.attrs
    any_, low, high = (f"{100 * share:.0f}" for share in told["any"])
    winners, least, most = (plain(value, 2) for value in told["winners"])
    regret, *between = (plain(value, 2) for value in told["regret"])
    gain = f"{with_unit(regret, goal.unit)} ({between[0]} to {between[1]})"
    found = (
        f"Had they gone on, at least one of {count(len(table), 'stopped trial')} would have beaten the winner with a"
        f" chance of {any_} % ({low} to {high}); {winners} of them ({least} to {most}) are expected to. Stopping cost"
        f" {gain} of {goal.name} in expectation."
    )
    more = f" The {MOST_ROWS} of {len(table):,} that came nearest are drawn." if len(table) > MOST_ROWS else ""
    left = told["left_out"]
    unknown = f" {count(left, 'other')} cannot be judged: too few trials of their length ran in full." if left else ""
    itself = " The winner was itself stopped early; what it might have gained is not counted." * told["winner_stopped"]
    how = (
        f" Estimated, with 95 % intervals, from {count(told['full'], 'trial')} that ran in full: a poor start is"
        " taken to go on as theirs did. Those were let go on for being good. If late risers were cut, the true cost"
        " is higher; if good trials pull away from poor ones, it is lower."
    )
    read = " The line is the middle 90 % of where a trial might have ended, the number at the right its chance to win."
    caption = f"{esc(found)}{more}{unknown}{itself}{how}{read}"
    return Drawn(stopping_regret_figure(table, goal), caption, found)


CHARTS = (
    Chart("rung_survival", "How far trials came", rung_survival, _survival),
    Chart("stopping_regret", "Would the stopped have won?", stopping_regret, _regret),
)
