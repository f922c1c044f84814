"""Whether two models differ over several categories: the exact Wilcoxon signed-rank test.

Wilcoxon, "Individual comparisons by ranking methods", 1945; advised for two classifiers over several data
sets by Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def signed_rank_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p value that differences lie around 0; zeros say nothing and are left out.

    Exact however many there are, equal sizes among them included: SciPy's is not with ties, unless it tries
    every way to sign the ranks, of which 15 categories have 32,768. None where no difference is left.
    """
    from scipy.stats import rankdata

    # Means of the same numbers in another order differ in their last bits, which is no difference.
    found = np.round(np.asarray(differences, np.float64), 12)
    found = found[found != 0]
    if not len(found):
        return None
    ranks = np.rint(2 * rankdata(np.abs(found))).astype(int)  # whole numbers, halves of ties included
    ways = np.ones(1)  # how likely each sum of the positive ranks is, if either sign is as likely
    for rank in ranks.tolist():
        grown = np.zeros(len(ways) + rank)
        grown[: len(ways)] += ways / 2
        grown[rank:] += ways / 2
        ways = grown
    seen = int(ranks[found > 0].sum())
    return float(min(1.0, 2 * min(ways[: seen + 1].sum(), ways[seen:].sum())))
