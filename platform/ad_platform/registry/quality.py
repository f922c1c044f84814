"""Gates that ask whether a model is good: no worse than what it replaces, blind to no kind of defect."""

from ad_platform.registry import drawing
from ad_platform.registry.case import METRIC, Case, Unknown, Verdict
from ad_platform.registry.drawing import Interval
from ad_platform.specs import Json


def no_worse(case: Case) -> Verdict:
    """Ask whether it is, at 95 %, no worse than the model in force by more than a margin, on the same images.

    The lower end of the paired interval of the difference in image AUROC decides: a model that may well be
    much worse is refused even if it looks better, since too few images say so.
    """
    gate = "no worse"
    if case.champion is None:
        return Verdict(gate=gate, passed=True, detail="nothing carries this alias yet")
    if case.champion.job_id == case.candidate.job.id:
        return Verdict(gate=gate, passed=True, detail="it is the model in force itself")
    try:
        paired = case.paired
    except Unknown as error:
        return Verdict(gate=gate, passed=False, detail=f"cannot be told: {error}")
    found, margin = paired.differences[drawing.ALL], case.limits.margin
    passed = found.low >= -margin
    words = (
        f"{METRIC} {paired.mine:.4f} against {paired.theirs:.4f} on the same {paired.images} images: "
        f"{_signed(found)} at 95 %, and it must not fall below {-margin:+.4g}"
    )
    if not passed:
        words += "; it is worse" if found.high < 0 else "; so few images do not show that it is no worse"
    evidence: dict[str, Json] = {
        "metric": METRIC,
        "mine": paired.mine,
        "theirs": paired.theirs,
        **_json(found),
        "margin": margin,
        "level": drawing.LEVEL,
        "draws": drawing.DRAWS,
        "seed": drawing.SEED,
        "images": paired.images,
        "against": case.champion.job_id,
        "their_evaluation": paired.evaluation.id,
    }
    return Verdict(gate=gate, passed=passed, detail=words, evidence=evidence)


def defects(case: Case) -> Verdict:
    """Ask whether each kind of defect is found: at its floor, and not surely less well than before.

    Surely lower is a paired interval that lies below the margin as a whole, since of one kind there are few
    images.
    """
    gate = "defects"
    try:
        scores = case.scores
    except Unknown as error:
        return Verdict(gate=gate, passed=False, detail=f"cannot be told: {error}")
    normal, bad = [one.score for one in scores.normal], [one.score for one in scores.anomalous]
    if not normal or not bad:
        return Verdict(
            gate=gate, passed=False, detail="cannot be told: normal or anomalous test images are missing"
        )
    found = drawing.by_kind(normal, bad, [one.defect for one in scores.anomalous])
    change = _changes(case)
    limits = case.limits
    faults = [
        f"{kind} {value:.4f}, its floor is {limits.floor(kind):.4g}"
        for kind, value in found.items()
        if value < limits.floor(kind)
    ]
    faults += [
        f"{kind} {_signed(one)} against the model in force, where {-limits.defect_margin:+.4g} is allowed"
        for kind, one in change.items()
        if one.high < -limits.defect_margin
    ]
    lacking = sorted(set(limits.defects) - set(found))
    faults += [f"{kind} has a floor, and no test image has it" for kind in lacking]
    least = min(found, key=lambda kind: found[kind])
    kinds: dict[str, Json] = {
        kind: {
            METRIC: value,
            "floor": limits.floor(kind),
            **({"difference": _json(change[kind])} if kind in change else {}),
        }
        for kind, value in found.items()
    }
    words = (
        "; ".join(faults)
        or f"each of {len(found)} is at its floor; the least is {least} with {found[least]:.4f}"
    )
    return Verdict(
        gate=gate,
        passed=not faults,
        detail=words,
        evidence={"kinds": kinds, "margin": limits.defect_margin},
    )


def _changes(case: Case) -> dict[str, Interval]:
    """Return the difference to the model in force of each kind of defect; none where it cannot be told."""
    if case.champion is None or case.champion.job_id == case.candidate.job.id:
        return {}
    try:
        return {kind: one for kind, one in case.paired.differences.items() if kind != drawing.ALL}
    except Unknown:
        return {}  # the other gate says so


def _signed(one: Interval) -> str:
    return f"{one.point:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _json(one: Interval) -> dict[str, Json]:
    return {"difference": one.point, "low": one.low, "high": one.high}
