"""Gates that ask what a model costs where it is used: false alarms, milliseconds and memory."""

from ad_platform import chances
from ad_platform.registry.case import Case, Unknown, Verdict
from ad_platform.registry.operating import OperatingPoint, preview
from ad_platform.specs import Json


def false_alarms(case: Case) -> Verdict:
    """Ask whether good test images are called anomalous no more often than calibrated, or than allowed.

    Against the calibrated rate the count is judged by how many false alarms so few calibration images leave
    to chance; against a limit of one's own by the exact interval of the share seen.
    """
    gate, bound = "false alarms", case.limits.false_alarms
    point = case.operating
    if point is None:
        detail = "cannot be told: it has no threshold, since nothing was held out to calibrate on"
        return Verdict(gate=gate, passed=False, detail=f"{detail} (--holdout 10/10)")
    try:
        seen = preview(case.scores, point).false_alarms
    except Unknown as error:
        return Verdict(gate=gate, passed=False, detail=f"cannot be told: {error}")
    low, high = seen.interval
    most = chances.most_false_alarms(seen.of, point.normals, point.rate) if point.bounds_rate else None
    faults = []
    if not seen.of:
        faults.append("no good test image was scored")
    if most is not None and seen.wrong > most:
        faults.append(f"more than {most} are no chance at a calibrated {100 * point.rate:.3g} %")
    if bound is not None and low > bound:
        faults.append(f"surely more than the {100 * bound:.3g} % allowed")
    if bound is not None and point.bounds_rate and point.rate > bound:
        way = f"adctl threshold {case.candidate.job.id} --fpr {bound:g}"
        faults.append(
            f"it is calibrated to {100 * point.rate:.3g} %, and {100 * bound:.3g} % are allowed: {way}"
        )
    detail = f"{seen.wrong} of {seen.of} good test images, {100 * low:.3g} to {100 * high:.3g} % at 95 %"
    detail += "".join(f"; {fault}" for fault in faults) or f"; {_claim(point, most)}"
    evidence: dict[str, Json] = {
        **seen.to_json(),
        "threshold": point.threshold,
        "by": point.by.value,
        "rate": point.rate if point.bounds_rate else None,
        "normals": point.normals,
        "certified": point.certified,
        "most": most,
        "allowed": bound,
    }
    return Verdict(gate=gate, passed=not faults, detail=detail, evidence=evidence)


def latency(case: Case) -> Verdict:
    """Ask whether an image is scored within the budget, by the evaluation's own clock."""
    return _budget(case, "latency", "ms_per_image", case.limits.latency_ms, "latency_ms", "ms per image")


def memory(case: Case) -> Verdict:
    """Ask whether scoring stayed within the budget of memory."""
    return _budget(case, "memory", "peak_memory_mb", case.limits.memory_mb, "memory_mb", "MB while scoring")


def _budget(case: Case, gate: str, measure: str, most: float | None, limit: str, unit: str) -> Verdict:
    evaluation = case.candidate.evaluation
    value = evaluation.result.get(measure) if evaluation is not None else None
    device = _device(case)
    evidence: dict[str, Json] = {measure: value, "limit": most, "device": device}
    if not isinstance(value, int | float):
        again = f"adctl submit evaluate {case.candidate.job.id}"
        words = (
            "was not measured"
            if most is None
            else f"was not measured, and {most:g} {unit} are the limit: {again}"
        )
        return Verdict(gate=gate, passed=most is None, detail=words, evidence=evidence)
    words = f"{value:.4g} {unit}{f' on {device}' if device else ''}"
    words += f", {most:g} allowed" if most is not None else f", no limit is set ({limit})"
    return Verdict(gate=gate, passed=most is None or value <= most, detail=words, evidence=evidence)


def _device(case: Case) -> str:
    evaluation = case.candidate.evaluation
    attempts = case.store.jobs.attempts(evaluation.id) if evaluation is not None else []
    device = attempts[-1].facts.get("device") if attempts else None
    return str(device) if device else ""


def _claim(point: OperatingPoint, most: int | None) -> str:
    if most is None:
        return f"no rate is claimed of a threshold chosen by {point.by}"
    claim = f"at most {most} are expected at a calibrated {100 * point.rate:.3g} %"
    return claim if point.certified else f"{claim}, which is not certified"
