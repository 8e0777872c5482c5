"""The finalists of a search once more, with fresh seeds: the winner is then chosen by the mean over seeds."""

from __future__ import annotations

from search.errors import SearchError
from search.method import FINISHED, SearchMethod
from search.suggestion import Standing, Suggestion


class Retest(SearchMethod):
    """The last of `Stages`: trains the best configurations again, `seeds` times each.

    The best of many noisy scores is too good to be true (the winner's curse), so the trials by which a finalist was
    chosen do not count again: `winner` compares the means of the new ones alone. Seed by seed, so that all finalists
    have equally many, give or take one, wherever a run is cut short. No scheduler stops these trials early.

    The finalists are the configurations of the finest fidelity: the largest share of the data first, then the longest
    trials, then the mean over their seeds. Those of the next fidelity fill up what is missing.

    Args:
        top: how many finalists.
        seeds: how many times each is trained.
        budget: the length of these trials, as a multiple of the search's `iterations`; by default that of the
            finalist's own trial.

    Raises:
        SearchError: a number out of its range.
    """

    ends = True

    def __init__(self, top: int = 4, seeds: int = 3, budget: float | None = None) -> None:
        for name, value in (("top", top), ("seeds", seeds)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SearchError(f"Expected {name} to be a whole number from 1, got {value!r}. Correct {name}=.")
        if budget is not None:
            check_budget(budget)
        super().__init__()
        self.top = top
        self.seeds = seeds
        self.budget = budget
        # Best first. `Stages` knows them when it comes to this one.
        self.finalists: tuple[Standing, ...] | None = None

    def on_space(self) -> None:
        """Make sure that there is something to test again."""
        if self.finalists is None:
            raise SearchError(
                "Expected Retest to come after other stages, got it alone."
                ' Write method=Stages([Stage("search", method=...), Retest()]).'
            )
        self._scaled()

    def propose(self, number: int) -> Suggestion | str:
        """The next finalist, around and around."""
        finalists = self.finalists or ()
        if number >= len(finalists) * self.seeds:
            return FINISHED
        finalist = finalists[number % len(finalists)]
        return Suggestion(
            finalist.suggestion.values,
            reason="retest",
            replica_of=finalist.configuration,
            iterations=finalist.suggestion.iterations if self.budget is None else self._scaled(),
            whole=True,
        )

    def winner(self) -> Standing | None:
        """The finalist with the best mean over its new trials, with these as its values; None before the first.

        A finalist counts with the trials that it has, so look at how many there are: of those that failed there is no
        value.
        """
        return next(iter(self.standings()), None)

    def __repr__(self) -> str:
        budget = "" if self.budget is None else f", budget={self.budget:g}"
        return f"Retest(top={self.top}, seeds={self.seeds}{budget})"

    def _scaled(self) -> int | None:
        return None if self.budget is None else scaled(self.iterations, self.budget, "Retest")


def check_budget(budget: float) -> None:
    """Refuse a budget that is no length.

    Raises:
        SearchError: it is not above 0.
    """
    if not budget > 0:
        raise SearchError(f"Expected budget > 0, got {budget!r}. 1 is the length that the search gives its trials.")


def scaled(iterations: int | None, budget: float, what: str) -> int | None:
    """A multiple of the length of a full trial, at least one report; None for the length that the search gives.

    Raises:
        SearchError: there is a budget and no length to multiply.
    """
    if budget == 1:
        return None
    if iterations is None:
        raise SearchError(
            f"Expected iterations of the search for the budget of {what}, got budget={budget:g} and no iterations."
            " Set Search(iterations=...), or leave the budget at 1."
        )
    return max(1, round(iterations * budget))
