"""How models that carry an alias look: as JSON, as rows, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli import measures, out, shapes, verdicts
from ad_platform.registry.operating import of_decision
from ad_platform.registry.promotion import verdicts_of
from ad_platform.results import result_of, selected_on

if TYPE_CHECKING:
    from ad_platform.models import Registered
    from ad_platform.records import Champion
    from ad_platform.specs import Json

COLUMNS = ("MODEL", "REV", "VERSION", "JOB", "IMAGE AUROC", "SELECTED ON", "AGE", "BY", "FORCED")
HISTORY = ("ALIAS", "REV", "WHEN", "BY", "IMAGE AUROC", "THRESHOLD", "JOB", "VERSION", "WHY")
AUROC = ("test/image_auroc", "image_auroc")  # the latter by older evaluations


def to_json(found: Registered) -> dict[str, Json]:
    """Return a carrier of an alias as JSON, with what it was fitted to and what it reached."""
    champion, spec = found.champion, found.job.spec
    return {
        **decision_json(champion),
        "detector": spec.detector,
        "preset": spec.preset,
        "dataset": spec.dataset.dataset,
        "category": spec.dataset.category,
        "fingerprint": spec.dataset.fingerprint,
        "selected_on": selected_on(found.job),
        "evaluation": found.evaluation.id if found.evaluation else None,
        "metrics": {**_metrics(found)},
        "intervals": found.evaluation.result.get("intervals") if found.evaluation else None,
        "bundle": result_of(found.job).bundle,
        "manifest_sha256": result_of(found.job).manifest_sha256,
    }


def page_json(found: Registered, decisions: Sequence[Champion]) -> dict[str, Json]:
    """Return one carrier as JSON with every decision about its model, newest first."""
    history: list[Json] = [decision_json(each) for each in decisions]
    evidence = found.champion.evidence
    names = ("gates", "limits", "against", "chosen", "weights", "operating_point")
    return {**to_json(found), **{name: evidence.get(name) for name in names}, "history": history}


def row(found: Registered) -> tuple[str, ...]:
    """Return the cells below COLUMNS."""
    champion = found.champion
    return (
        found.words,
        str(champion.revision),
        champion.published or "-",
        champion.job_id,
        _auroc(found),
        selected_on(found.job),
        shapes.ago(champion.at),
        champion.user,
        "forced" if champion.forced else "-",
    )


def page(found: Registered, decisions: Sequence[Champion]) -> None:
    """Print all that is known of a carrier, and the decisions about its model."""
    champion, spec = found.champion, found.job.spec
    out.pairs(
        {
            "model": found.words,
            "revision": str(champion.revision),
            "version": champion.published or "MLflow's registry does not show it yet",
            "job": champion.job_id,
            "evaluation": found.evaluation.id if found.evaluation else "none",
            "detector": f"{spec.detector} ({spec.preset})" if spec.preset else spec.detector,
            "data": f"{spec.dataset.dataset}/{spec.dataset.category}",
            "selected on": selected_on(found.job),
            **_use(found),
            "decided": f"{shapes.moment(champion.at)} by {champion.user}",
            **({"reason": champion.reason} if champion.reason else {}),
            **({"forced past": _overruled(champion)} if champion.forced else {}),
        }
    )
    if found.evaluation is not None:
        out.text("\nmeasures")
        known = measures.measures(found.evaluation, measures.in_order(_metrics(found)))
        out.pairs({f"  {name}": value for name, value in known.items()})
    if said := verdicts_of(champion):
        out.text("\ngates")
        verdicts.show(said, champion.forced, indent="  ")
    out.text("\nhistory")
    history(decisions, indent="  ")


def history(decisions: Sequence[Champion], indent: str = "") -> None:
    """Print decisions, one a line."""
    rows = [_history_row(each) for each in decisions]
    out.table((f"{indent}{HISTORY[0]}", *HISTORY[1:]), [(f"{indent}{alias}", *rest) for alias, *rest in rows])


def _use(found: Registered) -> dict[str, str]:
    """Return the threshold in use, and the hash of the weights, as far as the decision has them."""
    point, weights = of_decision(found.champion), found.champion.evidence.get("weights")
    named = {}
    if point is not None:
        named["threshold"] = f"{point.threshold:.6g}  {point.guarantee}"
    if isinstance(weights, str):
        named["weights"] = weights
    return named


def _threshold(champion: Champion) -> float | None:
    point = of_decision(champion)
    return point.threshold if point is not None else None


def _history_row(champion: Champion) -> tuple[str, ...]:
    auroc = champion.evidence.get("image_auroc")
    back, threshold = champion.evidence.get("rollback_to"), _threshold(champion)
    forced = f"back to {back}: " if back is not None else "forced: " if champion.forced else ""
    return (
        champion.alias,
        str(champion.revision),
        shapes.moment(champion.at),
        champion.user,
        f"{auroc:.4f}" if isinstance(auroc, int | float) else "-",
        f"{threshold:.6g}" if threshold is not None else "-",
        champion.job_id,
        champion.published or "-",
        f"{forced}{champion.reason}" or "-",
    )


def decision_json(champion: Champion) -> dict[str, Json]:
    """Return a decision as JSON, without the evidence it was made on."""
    value = cast("dict[str, Json]", asdict(champion))
    evidence = champion.evidence
    del value["evidence"]
    return {
        **value,
        "version": value.pop("published"),
        "image_auroc": evidence.get("image_auroc"),
        "rollback_to": evidence.get("rollback_to"),
        "threshold": _threshold(champion),
        "evaluation": evidence.get("evaluation"),
    }


def _overruled(champion: Champion) -> str:
    """Return what the gates said that were overruled."""
    no = [f"'{one.gate}': {one.detail}" for one in verdicts_of(champion) if not one.passed]
    return "; ".join(no) or "a gate"


def _metrics(found: Registered) -> dict[str, float]:
    return dict(result_of(found.evaluation).metrics) if found.evaluation else {}


def _auroc(found: Registered) -> str:
    """Return the image AUROC with its interval."""
    known = _metrics(found)
    name = next((name for name in AUROC if name in known), None)
    if name is None or found.evaluation is None:
        return "-"
    intervals = found.evaluation.result.get("intervals")
    ends = intervals.get(name) if isinstance(intervals, dict) else None
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return f"{known[name]:.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"
    return f"{known[name]:.4f}"
