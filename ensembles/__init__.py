"""Turns several predictors into one better predictor; knows callables and arrays, and no model."""

from ensembles.account.evaluate import Gain, ambiguity, bootstrap_gain, error_correlation
from ensembles.account.gallery import Exhibit
from ensembles.build import BuildReport, build
from ensembles.capabilities import Baselines, Confident, Flippable, Retrainable, TorchPredictor
from ensembles.combining.combiner import Combiner, Predicted, Weighted
from ensembles.combining.gram import BadPredictions, ErrorGram, blend, blend_error
from ensembles.combining.method import InMemory, Measures, Method, Observed, fold_of
from ensembles.contest import Limits
from ensembles.ensemble import Ensemble, Member, load
from ensembles.members.cache import PredictionCache
from ensembles.members.crew import Candidate, NoMembers, SetAside
from ensembles.members.flips import Flipped
from ensembles.members.gather import gather
from ensembles.predictor import (
    Batch,
    CheckpointDamaged,
    CheckpointError,
    Predictor,
    UnknownPredictor,
    load_predictor,
    verify_checkpoint,
)
from ensembles.recipes import Recipe, recipes
from ensembles.trained import Trained

__all__ = [
    "BadPredictions",
    "Baselines",
    "Batch",
    "BuildReport",
    "Candidate",
    "CheckpointDamaged",
    "CheckpointError",
    "Combiner",
    "Confident",
    "Ensemble",
    "ErrorGram",
    "Exhibit",
    "Flippable",
    "Flipped",
    "Gain",
    "InMemory",
    "Limits",
    "Measures",
    "Member",
    "Method",
    "NoMembers",
    "Observed",
    "Predicted",
    "PredictionCache",
    "Predictor",
    "Recipe",
    "Retrainable",
    "SetAside",
    "TorchPredictor",
    "Trained",
    "UnknownPredictor",
    "Weighted",
    "ambiguity",
    "blend",
    "blend_error",
    "bootstrap_gain",
    "build",
    "error_correlation",
    "fold_of",
    "gather",
    "load",
    "load_predictor",
    "recipes",
    "verify_checkpoint",
]
