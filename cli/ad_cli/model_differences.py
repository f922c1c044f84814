"""How `adctl models diff` lays out two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_cli import differences, out
from ad_cli.paired import Paired

if TYPE_CHECKING:
    from ad_platform.comparing import Difference
    from ad_platform.comparing_models import ModelComparison, ModelSide
    from ad_platform.specs import Json

LONG = 14  # of a hash, what is shown
WORDY = ("false alarms", "reason")  # whose values stand below each other


def show(found: ModelComparison, paired: Paired | None) -> None:
    """Print a comparison: as JSON, as the names of what differs, or as text."""
    if out.as_json():
        out.data(_json(found, paired))
        return
    if out.quiet():
        for name, one in (("model", found.model), ("gates", found.gates)):
            if one:
                out.text(name)
        differences.show(found.jobs, paired)
        return
    out.pairs({"A": found.a.words, "B": found.b.words})
    if found.same_weights:
        out.note("the weights are the very same")
    short = [one for one in found.model if one.name not in WORDY]
    if short:
        out.text("")
        out.table(("MODEL", "A", "B"), [(one.name, _short(one.a), _short(one.b)) for one in short])
    _below(found, [one for one in found.model if one.name in WORDY])
    _below(found, list(found.gates), "GATES")
    if found.a.job.id == found.b.job.id:
        out.note("\nboth are of one job: its settings, data and code are the same")
    else:
        differences.parts(found.jobs, paired or Paired())


def _below(found: ModelComparison, shown: list[Difference], title: str = "") -> None:
    if not shown:
        return
    out.text(f"\n{title}" if title else "")
    for one in shown:
        out.text(one.name)
        out.pairs({"  A": str(one.a or "-"), "  B": str(one.b or "-")})


def _short(value: Json) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text[:LONG] if len(text) == 64 else text


def _json(found: ModelComparison, paired: Paired | None) -> Json:
    jobs = differences.to_json(found.jobs, paired)
    assert isinstance(jobs, dict)
    return {
        **jobs,
        "a": _side(found.a),
        "b": _side(found.b),
        "same": found.jobs.same and not found.model and not found.gates,
        "same_weights": found.same_weights,
        "model": {one.name: {"a": one.a, "b": one.b} for one in found.model},
        "gates": {one.name: {"a": one.a, "b": one.b} for one in found.gates},
    }


def _side(side: ModelSide) -> Json:
    return {
        "name": side.words,
        "job": side.job.id,
        "evaluation": side.evaluation.id if side.evaluation is not None else None,
        "revision": side.champion.revision if side.champion is not None else None,
        "weights": side.weights,
        "operating_point": side.operating.to_json() if side.operating is not None else None,
    }
