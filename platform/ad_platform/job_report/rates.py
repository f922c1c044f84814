"""Shares that were counted, and where the true ones may lie: exact 95 % intervals, without a table.

Of a threshold that is the k-th smallest of n calibration scores, the share of good
parts above it is spread as Beta(n + 1 - k, k) over calibration sets (Vovk, "Conditional validity of inductive
conformal predictors", ACML 2012, proposition 2a, for scores without ties).
"""

from dataclasses import dataclass

from ad_platform.chances import LEVEL, at_least, interval, root


@dataclass(frozen=True)
class Share:
    """A share, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Counted:
    """So many of so many."""

    count: int
    of: int

    @property
    def share(self) -> Share | None:
        """Return the share with its interval; None of none."""
        return observed(self.count, self.of) if self.of else None


def observed(count: int, of: int) -> Share:
    """Return the share of what was counted; its interval holds the true one 95 times of 100 at least."""
    return Share(count / of, *interval(count, of))


def promised(normals: int, allowed: int) -> Share:
    """Return what calibration alone says of false alarms: `allowed` of n + 1, and how it is spread.

    The threshold is the (n + 1 - allowed)-th smallest of n calibration scores.
    """
    a, b = allowed, normals + 1 - allowed
    tail = (1 - LEVEL) / 2
    # The distribution function of Beta(a, b) at x is the chance of a or more among a + b - 1 with chance x.
    low = root(lambda x: at_least(a, a + b - 1, x) - tail)
    high = root(lambda x: at_least(a, a + b - 1, x) - (1 - tail))
    return Share(allowed / (normals + 1), low, high)
