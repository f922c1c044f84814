"""What a succeeded job left behind, read from the JSON that its worker reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ad_platform.records import Job
    from ad_platform.specs import Json

SELECTED_ON = "selected_on"  # the tag that says which images a job's settings were chosen by


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """Where the files of a job lie and what was measured at its end."""

    bundle: str | None  # train: the fitted detector; evaluate: tables and pictures
    manifest_sha256: str | None  # of that bundle
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class LeakCheck:
    """Whether a few images scored the same in a process that knew nothing of them but their pixels."""

    passed: bool | None  # None: it could not be made
    detail: str


def result_of(job: Job) -> JobResult:
    """Read a job's result; what is missing or of a strange type is left out."""
    metrics = job.result.get("metrics")
    bundle, sha256 = job.result.get("bundle"), job.result.get("manifest_sha256")
    return JobResult(
        bundle=bundle if isinstance(bundle, str) else None,
        manifest_sha256=sha256 if isinstance(sha256, str) else None,
        metrics={
            name: float(value)
            for name, value in (metrics.items() if isinstance(metrics, dict) else ())
            if isinstance(value, int | float)
        },
    )


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many images, and the 95 % interval of the probability behind it."""

    count: int
    images: int
    low: float
    high: float

    @property
    def words(self) -> str:
        """Return it as text: "2 of 20, 95 % [0.012, 0.317]"."""
        return f"{self.count} of {self.images}, 95 % [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the threshold called anomalous among the test images."""

    false_alarms: Share | None  # of the good ones
    found: Share | None  # of the anomalous ones
    defects: Mapping[str, Share]


def observed_of(job: Job) -> Observed | None:
    """Return what the threshold of an evaluation was seen to do; None where there was none."""
    said = job.result.get("observed")
    if not isinstance(said, dict):
        return None
    defects = said.get("defects")
    shares = {name: _share(of) for name, of in (defects.items() if isinstance(defects, dict) else ())}
    return Observed(
        false_alarms=_share(said.get("false_alarms")),
        found=_share(said.get("found")),
        defects={name: share for name, share in shares.items() if share is not None},
    )


def _share(said: Json) -> Share | None:
    if not isinstance(said, dict):
        return None
    count, images, low, high = (said.get(name) for name in ("count", "images", "low", "high"))
    if not (isinstance(count, int) and isinstance(images, int)):
        return None
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return None
    return Share(count=count, images=images, low=low, high=high)


def leak_check_of(job: Job) -> LeakCheck | None:
    """Return what a job's result says of that; None of a job that knows no such check, or is older."""
    said = job.result.get("leak_check")
    if not isinstance(said, dict):
        return None
    passed = said.get("passed")
    return LeakCheck(passed=passed if isinstance(passed, bool) else None, detail=str(said.get("detail", "")))


def selected_on(job: Job) -> str:
    """Return which images the job's settings were chosen by; nothing was chosen unless a tag says so."""
    return job.tags.get(SELECTED_ON, "none")
