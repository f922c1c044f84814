"""Where a detector's decision lies: thresholds that calibration normals certify, never test labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ad_detectors.errors import ConfigError, StateError


@dataclass(frozen=True)
class OperatingPoint:
    """The thresholds in use: an image, or a pixel, is anomalous when its value is greater."""

    threshold: float  # on the image score
    map_threshold: float | None  # on the anomaly map; None for a detector without maps
    rate: float  # the share of good images that may be called anomalous
    normals: int  # calibration images that fixed it
    certified: bool  # whether those bound the rate: of a threshold set by hand nobody knows

    def to_json(self) -> dict[str, float | None]:
        """Return it as plain numbers, exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, flat: Mapping[str, object]) -> OperatingPoint:
        """Read what `to_json` returned; raise StateError naming what is wrong with it."""
        map_threshold = flat.get("map_threshold")
        return cls(
            threshold=_number(flat, "threshold"),
            map_threshold=None if map_threshold is None else _number(flat, "map_threshold"),
            rate=_number(flat, "rate"),
            normals=int(_number(flat, "normals")),
            certified=flat.get("certified") is True,
        )


def least_rate(normals: int) -> float:
    """Return the least rate of false alarms that so many calibration images can certify."""
    return 1 / (normals + 1)


def calibrated(
    scores: Sequence[float], maxima: Sequence[float] | None = None, rate: float | None = None
) -> OperatingPoint | None:
    """Return the operating point for a wanted rate of false alarms, by default the least certified one.

    `scores` are those of calibration normals and `maxima` the highest value of each one's map. Split
    conformal: of n values the k-th smallest, k = ceil((n + 1) (1 - rate)), is exceeded by a further good
    image with a probability of at most `rate`, whatever the scores' distribution, as long as the images are
    exchangeable (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, section 2.2).
    None where there are no normals and no rate is asked for. Raises ConfigError for a rate that so few
    normals cannot certify; the message names the least they can.
    """
    normals = len(scores)
    if rate is None and not normals:
        return None
    wanted = least_rate(normals) if rate is None else rate
    rank = normals + 1 - _allowed(normals, wanted)
    return OperatingPoint(
        threshold=sorted(scores)[rank - 1],
        map_threshold=None if maxima is None else sorted(maxima)[rank - 1],
        rate=wanted,
        normals=normals,
        certified=True,
    )


def _allowed(normals: int, rate: float) -> int:
    """Return (n + 1) rate rounded down, as its digits say: 0.29 of 100 are 29, though a float says less."""
    if not 0 < rate < 1:
        raise ConfigError(f"a rate of false alarms lies between 0 and 1, not {rate:g}")
    if not normals:
        raise ConfigError(
            "no normal images were held out to calibrate on, so no rate of false alarms can be certified; "
            "fit with a holdout such as 10/10"
        )
    places = normals + 1
    allowed = math.floor(places * rate)
    while (allowed + 1) / places <= rate:
        allowed += 1
    while allowed / places > rate:
        allowed -= 1
    if not allowed:
        raise ConfigError(
            f"{normals} calibration image{'s' * (normals != 1)} certify no rate of false alarms below "
            f"{least_rate(normals):.4g} (1/{places}), and {rate:g} is less; ask for more, or hold more out"
        )
    return allowed


def _number(flat: Mapping[str, object], name: str) -> float:
    value = flat.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StateError(f"this is no operating point: {name} is {value!r}; evaluate anew")
    return float(value)
