"""Hyperparameter search on Ray Tune: definitions, samplers, runs, results."""

from search.definition import Search
from search.errors import NoFinishedTrialError, RunError, SearchError
from search.results import Results, TrialRecord
from search.samplers import Bayesian, Random
from search.stopping import asha

__all__ = [
    "Bayesian",
    "NoFinishedTrialError",
    "Random",
    "Results",
    "RunError",
    "Search",
    "SearchError",
    "TrialRecord",
    "asha",
]
