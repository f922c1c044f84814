"""How models that carry an alias look: as JSON, as rows, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli import measures, out, shapes
from ad_platform.results import result_of, selected_on

if TYPE_CHECKING:
    from ad_platform.models import Registered
    from ad_platform.records import Champion
    from ad_platform.specs import Json

COLUMNS = ("MODEL", "REV", "VERSION", "JOB", "IMAGE AUROC", "SELECTED ON", "AGE", "BY", "FORCED")
HISTORY = ("ALIAS", "REV", "VERSION", "JOB", "IMAGE AUROC", "WHEN", "BY", "WHY")
AUROC = ("test/image_auroc", "image_auroc")  # the latter by older evaluations


def to_json(found: Registered) -> dict[str, Json]:
    """Return a carrier of an alias as JSON, with what it was fitted to and what it reached."""
    champion, spec = found.champion, found.job.spec
    return {
        **_decision_json(champion),
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
    history: list[Json] = [_decision_json(each) for each in decisions]
    return {**to_json(found), "gates": found.champion.evidence.get("gates"), "history": history}


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
            "decided": f"{shapes.moment(champion.at)} by {champion.user}",
            **({"reason": champion.reason} if champion.reason else {}),
            **({"forced past": _overruled(champion)} if champion.forced else {}),
        }
    )
    if found.evaluation is not None:
        out.text("\nmeasures")
        known = measures.measures(found.evaluation, measures.in_order(_metrics(found)))
        out.pairs({f"  {name}": value for name, value in known.items()})
    if said := _gates(champion):
        out.text("\ngates")
        out.pairs(
            {f"  {gate}": f"{'passed' if passed else 'said no'}: {words}" for gate, passed, words in said}
        )
    out.text("\nhistory")
    rows = [_history_row(each) for each in decisions]
    out.table((f"  {HISTORY[0]}", *HISTORY[1:]), [(f"  {alias}", *rest) for alias, *rest in rows])


def _history_row(champion: Champion) -> tuple[str, ...]:
    auroc = champion.evidence.get("image_auroc")
    forced = "forced: " if champion.forced else ""
    return (
        champion.alias,
        str(champion.revision),
        champion.published or "-",
        champion.job_id,
        f"{auroc:.4f}" if isinstance(auroc, int | float) else "-",
        shapes.moment(champion.at),
        champion.user,
        f"{forced}{champion.reason}" or "-",
    )


def _decision_json(champion: Champion) -> dict[str, Json]:
    value = cast("dict[str, Json]", asdict(champion))
    evidence = champion.evidence
    del value["evidence"]
    return {
        **value,
        "version": value.pop("published"),
        "image_auroc": evidence.get("image_auroc"),
        "evaluation": evidence.get("evaluation"),
    }


def _overruled(champion: Champion) -> str:
    """Return what the gates said that were overruled."""
    no = [f"'{gate}': {words}" for gate, passed, words in _gates(champion) if not passed]
    return "; ".join(no) or "a gate"


def _gates(champion: Champion) -> list[tuple[str, bool, str]]:
    """Return each gate, whether it let the model pass, and why."""
    gates = champion.evidence.get("gates")
    said = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    return [(str(gate.get("gate")), bool(gate.get("passed")), str(gate.get("detail"))) for gate in said]


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
