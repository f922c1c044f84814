"""Whether a detector can be used, as far as its evaluation tells, and why one should think so.

Each rule looks at one thing; the worst of what they say is the answer. What line of business can live with is
not known here, so the best answer is "yes, within these limits".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from ad_platform.job_report.decisions import Decided, decide, ranked
from ad_platform.job_report.rates import Share, promised
from ad_platform.job_report.results import TEST
from ad_platform.job_report.subject import OperatingPoint, Subject, interval, leak_check
from ad_platform.pages import notation
from ad_platform.records import Job
from ad_platform.results import selected_on
from ad_platform.states import JobState

FEW = 10  # images of a kind of defect: of fewer, none missed says little
SOME_MISSED, MOST_MISSED = 0.1, 0.5  # of a kind of defect, or of all
MANY_ALARMS = 0.1  # of good images, at the upper end of the interval


class Level(IntEnum):
    """How far a detector can be used; the lower the worse."""

    NO = 0
    CARE = 1
    YES = 2


ANSWERS = {
    Level.NO: "Not as it stands.",
    Level.CARE: "With care: mind these limits.",
    Level.YES: "Yes, within the limits that this page shows.",
}


@dataclass(frozen=True)
class Reason:
    """Something that speaks for or against, and how much of a hindrance it is."""

    level: Level
    text: str


@dataclass(frozen=True)
class Verdict:
    """The answer, and what led to it, the gravest first."""

    level: Level
    reasons: tuple[Reason, ...]

    @property
    def answer(self) -> str:
        """Return the answer in words."""
        return ANSWERS[self.level]


def verdict(subject: Subject) -> Verdict:
    """Judge a detector by its evaluation."""
    reasons = list(_unfinished(subject)) or [found for rule in _RULES for found in rule(subject)]
    decided = decided_of(subject)
    if decided is not None:
        reasons.append(Reason(Level.YES, _summary(decided)))
    reasons.sort(key=lambda reason: reason.level)
    level = min((reason.level for reason in reasons), default=Level.NO)
    return Verdict(level, tuple(reasons))


def decided_of(subject: Subject) -> Decided | None:
    """Return what the threshold in use did to the test images; None without either."""
    point, results = subject.operating_point, subject.results
    if point is None or results is None or not results.of_split(TEST):
        return None
    return decide(results, point.threshold)


def promise(point: OperatingPoint) -> Share:
    """Return what calibration alone says of false alarms."""
    allowed = max(1, min(point.normals, int(point.rate * (point.normals + 1) + 1e-9)))
    return promised(point.normals, allowed)


def per_thousand(share: float) -> str:
    """Return a share as so many of 1000."""
    count = 1000 * share
    return f"{count:.1f}" if 0 < count < 9.95 else f"{count:.0f}"


def _summary(decided: Decided) -> str:
    parts = []
    if decided.good:
        alarms = len(decided.alarms)
        parts.append(f"called {alarms or 'none'} of {decided.good} good test images anomalous")
    if decided.anomalous:
        parts.append(f"missed {len(decided.missed) or 'none'} of {decided.anomalous} defective ones")
    return f"At its threshold it {' and '.join(parts)}."


def _unfinished(subject: Subject) -> Iterator[Reason]:
    """Yield why there is nothing to judge."""
    for job in subject.ended_badly:
        yield Reason(Level.NO, _bad_end(job))
    train, missed = subject.train, subject.missed
    if subject.evaluation is not None or subject.ended_badly:
        return
    if missed is not None:
        yield Reason(
            Level.NO,
            f"Its evaluation is {missed.state}, so nobody knows yet what it finds. Watch it with: "
            f"adctl watch {missed.id}",
        )
    elif train is not None and train.state is JobState.SUCCEEDED:
        yield Reason(
            Level.NO,
            f"It was never evaluated, so nobody knows what it finds. Do so with: adctl submit evaluate "
            f"{train.id}",
        )
    elif train is not None:
        text = f"It is {train.state} and not fitted yet. Watch it with: adctl watch {train.id}"
        yield Reason(Level.NO, text)


def _bad_end(job: Job) -> str:
    why = f": {job.error.rstrip('.')}" if job.error else ""
    return (
        f"The {job.kind} job {job.id} {'failed' if job.state is JobState.FAILED else 'was cancelled'}{why}. "
        f"See what led to it with: adctl why {job.id}; run it again with: adctl retry {job.id}"
    )


def _unread(subject: Subject) -> Iterator[Reason]:
    if subject.results is None or not subject.results.scored:
        yield Reason(Level.NO, "The scores of its evaluation are not there any more; evaluate it again.")


def _peeked(subject: Subject) -> Iterator[Reason]:
    check = leak_check(subject.evaluation) if subject.evaluation is not None else None
    if check is not None and check.passed is not True:
        found = "it failed" if check.passed is False else "it could not be made"
        yield Reason(
            Level.CARE if check.passed is None else Level.NO,
            f"Leak check, whether scores come from pixels alone: {found}: {check.detail}",
        )


def _threshold(subject: Subject) -> Iterator[Reason]:
    point = subject.operating_point
    train = subject.train.id if subject.train is not None else "JOB"
    if point is None:
        yield Reason(
            Level.NO,
            "It has no threshold: no good images were held out to fix one. Fit it again with some held out: "
            f"adctl submit train --from {train} --holdout 10/10",
        )
    elif not point.certified:
        yield Reason(
            Level.CARE,
            "Its scores depend on the other images of their batch, so calibration bounds no rate of false "
            "alarms.",
        )


def _defects(subject: Subject) -> Iterator[Reason]:
    decided = decided_of(subject)
    if subject.results is None or not subject.results.scored:
        return
    if not any(each.anomalous for each in subject.results.of_split(TEST)):
        yield Reason(
            Level.NO,
            "There are no images of defects to test it on, so nobody knows what it misses. Put some into "
            "test/<defect>/ and evaluate it again.",
        )
    if decided is None or not decided.anomalous:
        return
    share = len(decided.missed) / decided.anomalous
    if share >= MOST_MISSED:
        yield Reason(
            Level.NO, f"It misses {len(decided.missed)} of {decided.anomalous} defects at its threshold."
        )
    for kind in decided.kinds:
        if kind.missed.count / kind.missed.of > SOME_MISSED and share < MOST_MISSED:
            most = "most" if kind.missed.count / kind.missed.of >= MOST_MISSED else "some"
            yield Reason(
                Level.CARE,
                f"It misses {most} of the defects called {kind.name}: {kind.missed.count} of "
                f"{kind.missed.of}.",
            )
    few = [f"{kind.name} ({kind.missed.of})" for kind in decided.kinds if kind.missed.of < FEW]
    if few:
        yield Reason(
            Level.CARE,
            f"Of {_listed(few)} there are fewer than {FEW} test images, so how much of it is missed is "
            "hardly known.",
        )


def _alarms(subject: Subject) -> Iterator[Reason]:
    decided, point = decided_of(subject), subject.operating_point
    if decided is None or point is None:
        return
    observed = decided.false_alarms.share
    if observed is None:
        yield Reason(
            Level.CARE, "There are no good test images: of false alarms only calibration tells anything."
        )
        return
    if point.certified and observed.low > point.rate:
        yield Reason(
            Level.CARE,
            f"Good test images raise more false alarms than calibration lets expect: {len(decided.alarms)} "
            f"of {decided.good}, where {per_thousand(point.rate)} of 1000 were promised. They may differ "
            "from the images that it was fitted to.",
        )
    elif observed.high > MANY_ALARMS:
        yield Reason(
            Level.CARE,
            f"{len(decided.alarms) or 'None'} of {decided.good} good test images raised a false alarm: so "
            f"few cannot rule out {per_thousand(observed.high)} false alarms among 1000 good parts.",
        )


def _ranking(subject: Subject) -> Iterator[Reason]:
    evaluation, results = subject.evaluation, subject.results
    if evaluation is None or results is None or not ranked(results.of_split(TEST)):
        return
    ends = interval(evaluation, "test/image_auroc")
    if ends is not None and ends[0] <= 0.5:
        yield Reason(
            Level.NO,
            "These images do not show that it ranks defects above good parts any better than chance: the "
            f"interval of its AUROC begins at {notation.score(ends[0])}.",
        )


def _selection(subject: Subject) -> Iterator[Reason]:
    job = subject.train or subject.job
    if selected_on(job).startswith(TEST):
        yield Reason(
            Level.CARE,
            f"selected_on={selected_on(job)}: test labels chose its settings, so every figure on the test "
            "images flatters.",
        )


def _elsewhere(subject: Subject) -> Iterator[Reason]:
    evaluation, train = subject.evaluation, subject.train
    if evaluation is None or train is None:
        return
    theirs, own = evaluation.spec.dataset, train.spec.dataset
    if theirs.fingerprint != own.fingerprint:
        yield Reason(
            Level.CARE,
            f"It was evaluated on other images ({theirs.dataset}/{theirs.category}) than it was fitted to "
            f"({own.dataset}/{own.category}).",
        )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


Rule = Callable[[Subject], Iterator[Reason]]
_RULES: tuple[Rule, ...] = (
    _unread, _peeked, _threshold, _ranking, _defects, _alarms, _selection, _elsewhere,
)  # fmt: skip
