"""Gates that ask whether a model is what it says: whole, evaluated, not chosen by test labels."""

import tempfile
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.records import Job
from ad_platform.registry.case import METRIC, Case, Verdict, weights_of
from ad_platform.results import leak_check_of, result_of, selected_on
from ad_platform.specs import Json
from ad_platform.states import JobState

TEST = "test"


def succeeded(case: Case) -> Verdict:
    """Ask whether the job that fitted it has succeeded; this cannot be overruled."""
    job = case.candidate.job
    return Verdict(
        gate="succeeded",
        passed=job.state is JobState.SUCCEEDED,
        detail=f"the job is {job.state}{_way_on(job)}",
        forcible=False,
        evidence={"job": job.id, "state": job.state.value},
    )


def whole(case: Case) -> Verdict:
    """Read every file of the model back: what cannot be loaded must not be served. It cannot be overruled."""
    result = result_of(case.candidate.job)
    if result.bundle is None:
        return Verdict(gate="whole", passed=False, detail="it left no model", forcible=False)
    with tempfile.TemporaryDirectory(prefix="adctl-gate-") as folder:
        try:
            manifest = case.storage.fetch(result.bundle, Path(folder))
        except CorruptBundle as error:
            return Verdict(gate="whole", passed=False, detail=str(error), forcible=False)
    evidence: dict[str, Json] = {"manifest_sha256": manifest.sha256, "weights": weights_of(manifest)}
    if result.manifest_sha256 not in (None, manifest.sha256):
        detail = f"{result.bundle} is not the model that the job reported"
        return Verdict(gate="whole", passed=False, detail=detail, forcible=False, evidence=evidence)
    detail = f"{len(manifest.files)} files match {manifest.sha256[:12]}"
    return Verdict(gate="whole", passed=True, detail=detail, evidence=evidence)


def evaluated(case: Case) -> Verdict:
    """Ask whether an evaluation with good and anomalous images speaks for it."""
    candidate = case.candidate
    if candidate.evaluation is None:
        missed = candidate.missed
        detail = f"it was not evaluated (adctl submit evaluate {candidate.job.id})"
        if missed is not None:
            detail = f"its evaluation {missed.id} is {missed.state}{_way_on(missed)}"
        return Verdict(gate="evaluated", passed=False, detail=detail)
    evidence: dict[str, Json] = {"evaluation": candidate.evaluation.id, METRIC: candidate.auroc}
    if candidate.auroc is None:
        detail = f"evaluation {candidate.evaluation.id} has no {METRIC}: it needs normal and anomalous images"
        return Verdict(gate="evaluated", passed=False, detail=detail, evidence=evidence)
    detail = f"{METRIC} {candidate.auroc:.4f} by job {candidate.evaluation.id}"
    return Verdict(gate="evaluated", passed=True, detail=detail, evidence=evidence)


def selection(case: Case) -> Verdict:
    """Ask whether test labels chose its settings, or chose it among others."""
    on, chosen = selected_on(case.candidate.job), case.candidate.chosen
    by, among = str(chosen.get("by", "")), chosen.get("among", 1)
    among = among if isinstance(among, int) else 1
    picked = by.startswith(f"{TEST}/") and among > 1
    detail = f"its settings were selected on: {on}"
    if picked:
        detail += (
            f"; it was chosen among {among} models by {by}, so that number flatters it: --best validation/..."
        )
    evidence: dict[str, Json] = {"selected_on": on, "chosen": dict(chosen)}
    passed = not on.startswith(TEST) and not picked
    return Verdict(gate="selection", passed=passed, detail=detail, evidence=evidence)


def leak(case: Case) -> Verdict:
    """Ask whether the evaluation found scores that came from elsewhere than from pixels."""
    candidate = case.candidate
    check = leak_check_of(candidate.evaluation) if candidate.evaluation else None
    if check is None:
        return Verdict(gate="leak", passed=True, detail="this evaluation did not look for it")
    again = "" if check.passed is not None else f" (adctl submit evaluate {candidate.job.id})"
    words = check.detail or "the scores depend on the pixels alone"
    evidence: dict[str, Json] = {"passed": check.passed, "detail": check.detail}
    return Verdict(gate="leak", passed=check.passed is True, detail=f"{words}{again}", evidence=evidence)


def _way_on(job: Job) -> str:
    """Return what to do about a job that has not succeeded."""
    if job.state is JobState.SUCCEEDED:
        return ""
    return f" (adctl retry {job.id})" if job.state.terminal else f" (adctl watch {job.id})"
