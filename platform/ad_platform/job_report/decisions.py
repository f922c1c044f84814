"""What came of deciding by a threshold: false alarms among good parts, misses of each kind of defect."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.job_report.rates import Counted
from ad_platform.job_report.results import CALIBRATION, TEST, Results, Scored


@dataclass(frozen=True)
class Decided:
    """The test images against a threshold: one is called anomalous when its score is greater."""

    threshold: float
    alarms: tuple[Scored, ...]  # good ones called anomalous, the highest score first
    missed: tuple[Scored, ...]  # anomalous ones that passed, the lowest score first
    good: int
    anomalous: int
    kinds: tuple["Kind", ...]  # of defects, those missed most first

    @property
    def false_alarms(self) -> Counted:
        """Return the good ones that were called anomalous."""
        return Counted(len(self.alarms), self.good)

    @property
    def misses(self) -> Counted:
        """Return the anomalous ones that passed."""
        return Counted(len(self.missed), self.anomalous)


@dataclass(frozen=True)
class Kind:
    """A kind of defect."""

    name: str
    missed: Counted


@dataclass(frozen=True)
class Option:
    """Another threshold by the same calibration images: one that more of them exceed."""

    allowed: int  # calibration images, and one more, that may exceed it
    rate: float
    decided: Decided


def decide(results: Results, threshold: float) -> Decided:
    """Hold every test image against a threshold."""
    test = results.of_split(TEST)
    good = [each for each in test if not each.anomalous]
    bad = [each for each in test if each.anomalous]
    missed = [each for each in bad if each.score <= threshold]
    kinds = [
        Kind(
            name,
            Counted(sum(each.defect == name for each in missed), sum(each.defect == name for each in bad)),
        )
        for name in {each.defect for each in bad}
    ]
    return Decided(
        threshold,
        tuple(
            sorted(
                (each for each in good if each.score > threshold), key=lambda each: (-each.score, each.path)
            )
        ),
        tuple(sorted(missed, key=lambda each: (each.score, each.path))),
        len(good),
        len(bad),
        tuple(sorted(kinds, key=lambda kind: (-kind.missed.count / kind.missed.of, kind.name))),
    )


def options(results: Results, most: int = 6) -> list[Option]:
    """Return thresholds at which more good parts are called anomalous, and fewer defects missed.

    By the rule of the evaluation: of n calibration scores the (n + 1 - allowed)-th smallest is exceeded by a
    further good image with a chance of at most allowed / (n + 1).
    """
    scores = sorted(each.score for each in results.of_split(CALIBRATION))
    places = len(scores) + 1
    wanted = [1, *(round(places * share) for share in (0.02, 0.05, 0.1, 0.2, 0.3))]
    return [
        Option(allowed, allowed / places, decide(results, scores[places - allowed - 1]))
        for allowed in sorted({each for each in wanted if 1 <= each < places})[:most]
    ]


def ranked(images: Sequence[Scored]) -> bool:
    """Say whether there are both good and anomalous images, so that a ranking of them says something."""
    return len({each.anomalous for each in images}) == 2
