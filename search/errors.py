"""What can go wrong with a search, in words for the person who runs it."""


class SearchError(ValueError):
    """A definition that cannot be searched: the message names the part, the rule, the value and the next step."""


class RunError(RuntimeError):
    """A run that cannot start, or that cannot be read."""


class UnreachableError(RunError):
    """A run whose storage does not answer, or does not let this process in; others may well read it."""


class NoFinishedTrialError(RunError):
    """A run in which no trial has a score yet, so that it has no best one."""
