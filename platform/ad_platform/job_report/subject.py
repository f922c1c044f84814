"""What a page about a job is drawn from: the job, its fit and evaluation, and all that belongs to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ad_platform.job_report.results import Results
from ad_platform.records import Attempt, Champion, Job
from ad_platform.specs import Json
from ad_platform.states import JobState
from ad_platform.storage.metrics import Point


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a fit, and where it lies in the storage."""

    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Everything a page says, before it is words."""

    job: Job  # that was asked for
    train: Job | None  # that fitted the detector; None where the store no longer knows it
    evaluation: Job | None = None  # that succeeded, and speaks for the fit
    missed: Job | None = None  # where there is none: the newest that has not succeeded
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)  # by job
    points: Sequence[Point] = ()  # what was measured while it was fitted
    champions: Sequence[Champion] = ()  # decisions in force that name the fit
    results: Results | None = None  # of the evaluation
    problems: Sequence[str] = ()  # what could not be read
    now: float = 0.0  # of the store's clock, for what has not ended

    @property
    def jobs(self) -> list[Job]:
        """Return the jobs that the page is about, in the order in which they ran."""
        found = [self.train, self.evaluation or self.missed, self.job]
        return list({job.id: job for job in found if job is not None}.values())

    @property
    def title(self) -> str:
        """Return what the page is called."""
        spec = self.job.spec
        return f"{spec.detector} on {spec.dataset.dataset}/{spec.dataset.category}"

    @property
    def operating_point(self) -> "OperatingPoint | None":
        """Return the threshold that the evaluation calibrated; None where nothing was held out."""
        return operating_point(self.evaluation) if self.evaluation is not None else None

    @property
    def stages(self) -> list[Stage]:
        """Return the stages of the fit, in order; none where its worker did not say."""
        told = self.train.result.get("stages") if self.train is not None else None
        found = []
        for each in told if isinstance(told, list) else ():
            if isinstance(each, dict) and isinstance(each.get("key"), str):
                found.append(Stage(name=str(each.get("stage", "")), key=str(each["key"])))
        return found

    @property
    def ended_badly(self) -> list[Job]:
        """Return the jobs that failed or were cancelled."""
        return [job for job in self.jobs if job.state in (JobState.FAILED, JobState.CANCELLED)]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold, and what calibration says of it."""

    threshold: float
    rate: float  # of good images that may be called anomalous
    normals: int  # calibration images that fixed it
    certified: bool


def operating_point(evaluation: Job) -> OperatingPoint | None:
    """Read the operating point of an evaluation's record."""
    point = evaluation.result.get("operating_point")
    if not isinstance(point, dict):
        return None
    threshold, rate, normals = number(point.get("threshold")), number(point.get("rate")), point.get("normals")
    if threshold is None or rate is None or not isinstance(normals, int):
        return None
    certified = point.get("certified") is True
    return OperatingPoint(threshold=threshold, rate=rate, normals=normals, certified=certified)


@dataclass(frozen=True, kw_only=True)
class LeakCheck:
    """Whether a few images scored the same where nothing was known of them but their pixels."""

    passed: bool | None  # None: it could not be made
    detail: str


def leak_check(evaluation: Job) -> LeakCheck | None:
    """Read that of an evaluation's record; None of an evaluation that knows no such check."""
    told = evaluation.result.get("leak_check")
    if not isinstance(told, dict):
        return None
    passed = told.get("passed")
    return LeakCheck(passed=passed if isinstance(passed, bool) else None, detail=str(told.get("detail", "")))


def number(value: Json) -> float | None:
    """Return a number as one, anything else as None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def interval(evaluation: Job, metric: str) -> tuple[float, float] | None:
    """Return the ends of a measure's 95 % interval, where the evaluation has one."""
    found = evaluation.result.get("intervals")
    ends = found.get(metric) if isinstance(found, Mapping) else None
    if not isinstance(ends, list) or len(ends) != 2:
        return None
    low, high = number(ends[0]), number(ends[1])
    return None if low is None or high is None else (low, high)
