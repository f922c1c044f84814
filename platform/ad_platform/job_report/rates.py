"""Shares that were counted, and where the true ones may lie: exact 95 % intervals, without a table.

Of k among n the interval is that of Clopper and Pearson ("The use of confidence or fiducial limits",
Biometrika 26, 1934). Of a threshold that is the k-th smallest of n calibration scores, the share of good
parts above it is spread as Beta(n + 1 - k, k) over calibration sets (Vovk, "Conditional validity of inductive
conformal predictors", ACML 2012, proposition 2a, for scores without ties).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, fsum, inf, lgamma, log

LEVEL = 0.95
_HALVINGS = 50


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
    tail = (1 - LEVEL) / 2
    low = _root(lambda p: at_least(count, of, p) - tail) if count else 0.0
    high = _root(lambda p: tail - at_least(of - count, of, 1 - p)) if count < of else 1.0
    return Share(count / of, low, high)


def promised(normals: int, allowed: int) -> Share:
    """Return what calibration alone says of false alarms: `allowed` of n + 1, and how it is spread.

    The threshold is the (n + 1 - allowed)-th smallest of n calibration scores.
    """
    a, b = allowed, normals + 1 - allowed
    tail = (1 - LEVEL) / 2
    # The distribution function of Beta(a, b) at x is the chance of a or more among a + b - 1 with chance x.
    low = _root(lambda x: at_least(a, a + b - 1, x) - tail)
    high = _root(lambda x: at_least(a, a + b - 1, x) - (1 - tail))
    return Share(allowed / (normals + 1), low, high)


def at_least(count: int, of: int, chance: float) -> float:
    """Return the chance of `count` or more among `of` independent tries."""
    if count <= 0:
        return 1.0
    if count > of or chance <= 0:
        return 0.0
    if chance >= 1:
        return 1.0
    # The shorter tail is summed.
    if count * 2 > of:
        return min(1.0, fsum(exp(_log_chance(k, of, chance)) for k in range(count, of + 1)))
    return max(0.0, 1.0 - fsum(exp(_log_chance(k, of, chance)) for k in range(count)))


def _log_chance(count: int, of: int, chance: float) -> float:
    ways = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    return ways + count * log(chance) + (of - count) * (log(1 - chance) if chance < 1 else -inf)


def _root(rising: Callable[[float], float]) -> float:
    """Return where a rising function of 0..1 crosses 0."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
