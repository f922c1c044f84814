"""Which normal pictures a fit must not see; standard library only, since the light client counts them too.

A share of the normal training pictures is kept for choosing settings (validation) and another for fixing
thresholds (calibration). Who is held out follows from the pictures' names alone, never from a job's seed:
otherwise a second seed would choose its settings on what the first had learnt from.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ad_detectors.data.layout import Sample
from ad_detectors.errors import ConfigError

VERSION = 1  # grows whenever the same names would be split in another way
NOTHING = "none"
PERCENTS = re.compile(r"(\d{1,2}(?:\.\d{1,3})?)/(\d{1,2}(?:\.\d{1,3})?)", re.ASCII)


@dataclass(frozen=True)
class Holdout:
    """The shares of the normal training pictures that are held out of training."""

    validation: float = 0.1
    calibration: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shares that are none, or that leave nothing to learn from."""
        shares = (self.validation, self.calibration)
        if not all(0 <= share < 1 for share in shares) or sum(map(_exact, shares)) >= 1:
            raise ConfigError(
                f"a holdout of {self.validation} and {self.calibration} leaves nothing to learn from; "
                "both shares must be at least 0 and together less than 1"
            )
        if any(_exact(share) * 100_000 % 1 for share in shares):
            raise ConfigError(f"a holdout of {shares} is too fine; give at most 5 digits after the point")

    @classmethod
    def parse(cls, text: str) -> Holdout:
        """Read "10/10", the percentages for validation and calibration, or "none"; raise ConfigError."""
        if text == NOTHING:
            return NONE
        found = PERCENTS.fullmatch(text)
        if found is None:
            raise ConfigError(f"a holdout is written as two percentages such as 10/10, or none, not '{text}'")
        return cls(*(float(Fraction(percent) / 100) for percent in found.groups()))

    @property
    def text(self) -> str:
        """Return the text that `parse` reads; "none" when nothing is held out."""
        if not (self.validation or self.calibration):
            return NOTHING
        return f"{_percent(self.validation)}/{_percent(self.calibration)}"

    def counts(self, pictures: int) -> tuple[int, int, int]:
        """Return how many of so many pictures are for training, validation and calibration.

        Of each share the floor: ten percent of fewer than ten pictures are none.
        """
        held = [int(pictures * _exact(share)) for share in (self.validation, self.calibration)]
        return pictures - sum(held), held[0], held[1]

    @property
    def key(self) -> str:
        """Return what a stage's key says of the pictures it learnt from."""
        return "train" if self.text == NOTHING else f"train-{self.text}-v{VERSION}"


@dataclass(frozen=True)
class Splits:
    """The normal training pictures, shared out; each part in the order the pictures had."""

    train: list[Sample]
    validation: list[Sample]
    calibration: list[Sample]


def split(samples: Sequence[Sample], holdout: Holdout) -> Splits:
    """Share pictures out by the rank of their hashed names, disjointly; some are left to learn from."""
    order = sorted(range(len(samples)), key=lambda index: _rank(samples[index].name))
    _, first, second = holdout.counts(len(samples))
    parts = (order[first + second :], order[:first], order[first : first + second])
    train, validation, calibration = ([samples[index] for index in sorted(part)] for part in parts)
    return Splits(train, validation, calibration)


def _rank(name: str) -> tuple[str, str]:
    # Composed as in a fingerprint: equal fingerprints must give equal splits on every system.
    composed = unicodedata.normalize("NFC", name)
    return hashlib.sha256(f"holdout\0{composed}".encode()).hexdigest(), name


def _exact(share: float) -> Fraction:
    """Return the share as it is written: 0.29 of 100 pictures are 29, though 100 * 0.29 is a little less."""
    return Fraction(repr(float(share)))


def _percent(share: float) -> str:
    return f"{float(_exact(share) * 100):.10g}"


NONE = Holdout(0.0, 0.0)
DEFAULT = Holdout()
