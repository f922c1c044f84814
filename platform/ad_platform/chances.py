"""What a count says of a rate: exact intervals of shares, and how many false alarms are no surprise."""

import math
from collections.abc import Callable

LEVEL = 0.95


def interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate that showed itself in so many of so many independent cases.

    Exact, not by a normal curve (Clopper and Pearson, Biometrika 26, 1934, 404-413); 0 to 1 of no cases.
    """
    tail = (1 - LEVEL) / 2
    low = root(lambda p: at_least(count, of, p) - tail) if count else 0.0
    high = root(lambda p: tail - at_least(of - count, of, 1 - p)) if count < of else 1.0
    return low, high


def at_least(count: int, of: int, chance: float) -> float:
    """Return the chance of `count` or more among `of` independent tries."""
    if count <= 0:
        return 1.0
    if count > of or chance <= 0:
        return 0.0
    if chance >= 1:
        return 1.0
    yes, no = math.log(chance), math.log1p(-chance)
    # The shorter tail is summed.
    upper = count * 2 > of
    tail = range(count, of + 1) if upper else range(count)
    total = math.fsum(math.exp(_log_choose(of, k) + k * yes + (of - k) * no) for k in tail)
    return min(1.0, total) if upper else max(0.0, 1.0 - total)


def root(rising: Callable[[float], float]) -> float:
    """Return where a rising function of 0..1 crosses 0, to fifteen digits."""
    low, high = 0.0, 1.0
    for _ in range(52):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def allowed(normals: int, rate: float) -> int:
    """Return how many of so many calibration images may lie above the threshold that certifies a rate.

    That is (n + 1) rate, rounded down as its digits say; 0 where so few images certify no such rate.
    """
    places = normals + 1
    found = math.floor(places * rate)
    while (found + 1) / places <= rate:
        found += 1
    while found / places > rate:
        found -= 1
    return found


def most_false_alarms(images: int, normals: int, rate: float) -> int:
    """Return the most false alarms among good images that are no surprise at a calibrated threshold.

    With more than that the images are, at 97.5 %, not like those it was calibrated on. Of `normals`
    calibration images a further one exceeds the k-th smallest with a probability that is itself spread as
    Beta(n + 1 - k, k), so the count among `images` is beta-binomial (Vovk, "Conditional validity of
    inductive conformal predictors", Machine Learning 92, 2013, section 3.2): few calibration images leave
    more to chance than a fixed rate would.
    """
    above = allowed(normals, rate)
    if not above:
        return 0
    alpha, beta = above, normals + 1 - above
    total, tail = 0.0, (1 - LEVEL) / 2
    for count in range(images + 1):
        total += math.exp(
            _log_choose(images, count)
            + _log_beta(count + alpha, images - count + beta)
            - _log_beta(alpha, beta)
        )
        if total >= 1 - tail:
            return count
    return images


def _log_choose(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def _log_beta(alpha: float, beta: float) -> float:
    return math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
