"""The gates a model passes before it carries an alias, each with the evidence it was decided on."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import CorruptBundle, GateRefused
from ad_platform.records import Champion, Job
from ad_platform.results import leak_check_of, result_of, selected_on
from ad_platform.specs import Json
from ad_platform.states import JobState
from ad_platform.storage.contract import Storage

METRIC = "image_auroc"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A fitted detector that is to carry an alias, and the evaluation that speaks for it."""

    job: Job
    evaluation: Job | None
    missed: Job | None = None  # where there is none: the newest that has not succeeded

    @property
    def auroc(self) -> float | None:
        """Return the image AUROC of the evaluation, if it has a usable one."""
        metrics = result_of(self.evaluation).metrics if self.evaluation else {}
        value = next((metrics[name] for name in (f"test/{METRIC}", METRIC) if name in metrics), None)
        return value if value is not None and math.isfinite(value) else None

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the images that it was evaluated on."""
        return (self.evaluation or self.job).spec.dataset.fingerprint


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one gate says."""

    gate: str
    passed: bool
    detail: str
    forcible: bool = True  # a person may overrule it

    def to_json(self) -> dict[str, Json]:
        """Return what is kept as evidence."""
        return {"gate": self.gate, "passed": self.passed, "detail": self.detail}


def judge(candidate: Candidate, champion: Champion | None, storage: Storage) -> list[Verdict]:
    """Ask every gate."""
    return [
        _succeeded(candidate.job),
        _whole(candidate.job, storage),
        _evaluated(candidate),
        _unpeeked(candidate),
        _selection(candidate.job),
        _no_worse(candidate, champion),
    ]


def refuse(verdicts: Sequence[Verdict], job: Job, force: bool) -> None:
    """Raise GateRefused if a gate says no that is not, or cannot be, overruled."""
    for verdict in verdicts:
        if verdict.passed or (force and verdict.forcible):
            continue
        way = "promote it anyway with --force --reason TEXT" if verdict.forcible else "this cannot be forced"
        raise GateRefused(f"gate '{verdict.gate}' refuses job {job.id}: {verdict.detail}; {way}")


def _succeeded(job: Job) -> Verdict:
    return Verdict(
        gate="succeeded",
        passed=job.state is JobState.SUCCEEDED,
        detail=f"the job is {job.state}{_way_on(job)}",
        forcible=False,
    )


def _whole(job: Job, storage: Storage) -> Verdict:
    """Read the whole bundle back: a model that cannot be loaded must not be served."""
    result = result_of(job)
    if result.bundle is None:
        return Verdict(gate="whole", passed=False, detail="it left no model", forcible=False)
    with tempfile.TemporaryDirectory(prefix="adctl-gate-") as folder:
        try:
            manifest = storage.fetch(result.bundle, Path(folder))
        except CorruptBundle as error:
            return Verdict(gate="whole", passed=False, detail=str(error), forcible=False)
    if result.manifest_sha256 not in (None, manifest.sha256):
        detail = f"{result.bundle} is not the model that the job reported"
        return Verdict(gate="whole", passed=False, detail=detail, forcible=False)
    return Verdict(gate="whole", passed=True, detail=f"{len(manifest.files)} files match {manifest.sha256}")


def _way_on(job: Job) -> str:
    """Return what to do about a job that has not succeeded."""
    if job.state is JobState.SUCCEEDED:
        return ""
    return f" (adctl retry {job.id})" if job.state.terminal else f" (adctl watch {job.id})"


def _evaluated(candidate: Candidate) -> Verdict:
    if candidate.evaluation is None:
        missed = candidate.missed
        detail = f"it was not evaluated (adctl submit evaluate {candidate.job.id})"
        if missed is not None:
            detail = f"its evaluation {missed.id} is {missed.state}{_way_on(missed)}"
        return Verdict(gate="evaluated", passed=False, detail=detail)
    if candidate.auroc is None:
        detail = f"evaluation {candidate.evaluation.id} has no {METRIC}: it needs normal and anomalous images"
        return Verdict(gate="evaluated", passed=False, detail=detail)
    detail = f"{METRIC} {candidate.auroc:.4f} by job {candidate.evaluation.id}"
    return Verdict(gate="evaluated", passed=True, detail=detail)


def _unpeeked(candidate: Candidate) -> Verdict:
    """Refuse an evaluation whose scores came from elsewhere than from pixels."""
    gate, check = "no peeking", leak_check_of(candidate.evaluation) if candidate.evaluation else None
    if candidate.evaluation is None:
        return Verdict(gate=gate, passed=True, detail="there is no evaluation to look at")
    if check is None:
        return Verdict(gate=gate, passed=True, detail="its evaluation is of a version without this check")
    again = "" if check.passed is not None else f" (adctl submit evaluate {candidate.job.id})"
    return Verdict(gate=gate, passed=check.passed is True, detail=f"{check.detail}{again}")


def _selection(job: Job) -> Verdict:
    chosen = selected_on(job)
    return Verdict(
        gate="selection",
        passed=not chosen.startswith("test"),
        detail=f"its settings were selected on: {chosen}",
    )


def _no_worse(candidate: Candidate, champion: Champion | None) -> Verdict:
    gate = "no worse"
    if champion is None:
        return Verdict(gate=gate, passed=True, detail="there is no champion yet")
    theirs = champion.evidence.get(METRIC)
    if champion.evidence.get("fingerprint") != candidate.fingerprint or not isinstance(theirs, int | float):
        return Verdict(gate=gate, passed=True, detail="the champion was not evaluated on these images")
    ours = candidate.auroc
    words = f"{METRIC} {'unknown' if ours is None else f'{ours:.4f}'}, the champion's is {theirs:.4f}"
    return Verdict(gate=gate, passed=ours is not None and ours >= theirs, detail=words)
