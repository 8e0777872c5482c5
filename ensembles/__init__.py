"""Turns several predictors into one better predictor; knows callables and arrays, and no model."""

from ensembles.account.evaluate import Gain, ambiguity, bootstrap_gain, error_correlation
from ensembles.build import BuildReport, build
from ensembles.combining.gram import BadPredictions, ErrorGram, blend, blend_error
from ensembles.combining.weights import (
    best_for_log_error,
    best_on_simplex,
    cross_fitted_errors,
    cross_fitted_weights,
    greedy,
    uniform,
)
from ensembles.ensemble import Ensemble, Member, load
from ensembles.members.crew import Candidate, NoMembers, SetAside
from ensembles.predictor import (
    Batch,
    CheckpointDamaged,
    CheckpointError,
    Predictor,
    UnknownPredictor,
    load_predictor,
    verify_checkpoint,
)

__all__ = [
    "BadPredictions",
    "Batch",
    "BuildReport",
    "Candidate",
    "CheckpointDamaged",
    "CheckpointError",
    "Ensemble",
    "ErrorGram",
    "Gain",
    "Member",
    "NoMembers",
    "Predictor",
    "SetAside",
    "UnknownPredictor",
    "ambiguity",
    "best_for_log_error",
    "best_on_simplex",
    "blend",
    "blend_error",
    "bootstrap_gain",
    "build",
    "cross_fitted_errors",
    "cross_fitted_weights",
    "error_correlation",
    "greedy",
    "load",
    "load_predictor",
    "uniform",
    "verify_checkpoint",
]
