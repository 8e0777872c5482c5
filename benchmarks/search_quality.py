"""How good the search methods are at equal cost: grids on BBOB functions, Bayesian search on simulated curves.

`grid_problems.py` and `curve_problems.py` say what is compared, and run alone too. In the summary: the shares of cases
in which the jittered grid has the better median than random search and than the plain grid; the share of repeats in
which Bayesian search with asha() ends with less regret than Ray's OptunaSearch with ASHAScheduler; and the ratio of
their median regrets after 60 trials.
"""

from __future__ import annotations

import curve_problems
import grid_problems
from harness import arguments, finish


def main() -> None:
    options = arguments(__doc__)
    grids, curves = grid_problems.rows(options.quick), curve_problems.rows(options.quick)
    names = dict.fromkeys(name for row in [*grids, *curves] for name in row)
    rows = [{name: row.get(name, "") for name in names} for row in [*grids, *curves]]
    finish(options, rows, grid_problems.summary(grids) | curve_problems.summary(curves))


if __name__ == "__main__":
    main()
