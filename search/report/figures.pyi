"""Written by docs/figures_stub.py from the catalogue of figures."""

import os
from collections.abc import Sequence

import plotly.graph_objects as go

from search.report.tables.snapshot import RunReader

Run = RunReader | str | os.PathLike[str]

def names(run: Run) -> list[str]:
    """The names of all figures of a run, those of its own parameters with them, in the order of the report."""

def figure(run: Run, name: str) -> go.Figure:
    """The figure of that name, such as "slice_lr_g"; `names` lists them."""

def history(run: Run) -> go.Figure:
    """How the best score was found."""

def learning_curves(run: Run) -> go.Figure:
    """Learning curves."""

def best_over_time(run: Run) -> go.Figure:
    """How soon the best was found."""

def best_over_hours(run: Run) -> go.Figure:
    """What the best took to find."""

def score_distribution(run: Run) -> go.Figure:
    """How many trials came close."""

def importances(run: Run) -> go.Figure:
    """Which parameters mattered."""

def parallel(run: Run) -> go.Figure:
    """Every trial through its parameters."""

def rung_survival(run: Run) -> go.Figure:
    """How far trials came."""

def stopping_regret(run: Run) -> go.Figure:
    """Would the stopped have won?."""

def stages(run: Run) -> go.Figure:
    """Stages side by side."""

def seed_noise(run: Run) -> go.Figure:
    """How much the seed decides."""

def grid_cells(run: Run) -> go.Figure:
    """Cells of the grid."""

def grid_edges(run: Run) -> go.Figure:
    """Edges that were hit and widened."""

def timeline(run: Run) -> go.Figure:
    """Trials in time."""

def utilisation(run: Run) -> go.Figure:
    """How busy the machines were."""

def seconds_per_iteration(run: Run) -> go.Figure:
    """How long an iteration took."""

def memory(run: Run) -> go.Figure:
    """Peak memory."""

def health_gradients(run: Run) -> go.Figure:
    """Gradient norms."""

def health_updates(run: Run) -> go.Figure:
    """Size of steps over size of weights."""

def health_dead(run: Run) -> go.Figure:
    """Units that never act."""

def health_gap(run: Run) -> go.Figure:
    """How much worse trials validate than they train."""

def health_balance(run: Run) -> go.Figure:
    """Generator against discriminator."""

def health_layers(run: Run) -> go.Figure:
    """Layer by layer."""

def health_weights(run: Run) -> go.Figure:
    """Weights of each layer."""

def gains(run: Run) -> go.Figure:
    """Gain over the best single model."""

def gain_by_size(run: Run) -> go.Figure:
    """What each further member adds."""

def gain_by_cost(run: Run) -> go.Figure:
    """Gain against cost."""

def colour_strength(run: Run) -> go.Figure:
    """Closeness against colour."""

def error_correlation(run: Run) -> go.Figure:
    """How alike the members err."""

def compare_best(runs: Sequence[Run]) -> go.Figure:
    """The best so far, by trials."""

def compare_best_by_cost(runs: Sequence[Run]) -> go.Figure:
    """The best so far, by what it took."""

def compare_scores(runs: Sequence[Run]) -> go.Figure:
    """How the scores are spread."""

def compare_cost(runs: Sequence[Run]) -> go.Figure:
    """What the trials took."""
