"""How `adctl diff` lays out two jobs."""

from collections.abc import Sequence

from ad_cli import measures, out, shapes
from ad_cli.paired import Paired
from ad_platform.comparing import Comparison, Difference, Metric, Side
from ad_platform.specs import Json

LONG = 14  # of a hash, what is shown


def show(comparison: Comparison, paired: Paired | None) -> None:
    """Print a comparison: as JSON, as the names of what differs, or as text."""
    if out.as_json():
        out.data(to_json(comparison, paired))
    elif out.quiet():
        for name in _differing(comparison):
            out.text(name)
    else:
        _show(comparison, paired or Paired())


def _differing(comparison: Comparison) -> list[str]:
    names = [name for name, found in comparison.sections.items() if found]
    return names if comparison.same_metrics else [*names, "metrics"]


def _show(comparison: Comparison, paired: Paired) -> None:
    a, b = comparison.a, comparison.b
    out.pairs({"A": _title(a), "B": _title(b)})
    if a.job.id == b.job.id:
        out.note("that is the same job twice")
    parts(comparison, paired)


def parts(comparison: Comparison, paired: Paired) -> None:
    """Print what differs between two jobs, section by section, then the metrics and what is to be noted."""
    for name, found in comparison.sections.items():
        if found:
            out.text("")
            out.table((name.upper(), "A", "B"), [_cells(one) for one in found])
    _show_metrics(comparison, paired)
    if equal := [name for name in (*comparison.sections, "metrics") if name not in _differing(comparison)]:
        out.note("\nnothing differs" if comparison.same else f"\nequal: {', '.join(equal)}")
    for note in (*comparison.notes, *([paired.trouble] if paired.trouble else [])):
        out.note(note)


def _title(side: Side) -> str:
    job, data = side.job, side.job.spec.dataset
    state = shapes.state_words(job)
    words = f"{job.id}  {job.kind} {job.spec.detector} on {data.dataset}/{data.category}: {state}"
    if job.name:
        words += f", {job.name}"
    return f"{words}; measured by {side.evaluation.id}" if side.evaluation else words


def _cells(one: Difference) -> tuple[str, str, str]:
    return one.name, _short(one.name, one.a), _short(one.name, one.b)


def _short(name: str, value: Json) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    text = str(value)
    return text[:LONG] if name in {"commit", "diff", "fingerprint"} else text


def _show_metrics(comparison: Comparison, paired: Paired) -> None:
    shown = _ordered([one for one in comparison.metrics if not one.same])
    if not shown:
        return
    rows = [_metric_cells(one, paired) for one in shown]
    out.text("")
    out.table(("METRICS", "A", "B", "B - A"), rows)
    if any(one.a_interval or one.b_interval for one in shown):
        words = "brackets: 95 % intervals, those of A and of B each by itself"
        out.note(
            f"\n{words}{'; that of B - A on the same draws of the images' if paired.differences else ''}"
        )


def _ordered(found: Sequence[Metric]) -> list[Metric]:
    """Return the headlines first, and what it cost last."""
    by_name = {one.name: one for one in found}
    names = list(measures.in_order(dict.fromkeys(by_name, 0.0)))
    return [by_name[name] for name in sorted(names, key=lambda name: "/" not in name)]


def _metric_cells(one: Metric, paired: Paired) -> tuple[str, str, str, str]:
    difference = "-" if one.difference is None else f"{one.difference:+.4g}"
    if one.name in paired.differences:
        _, low, high = paired.differences[one.name]
        difference += f"  [{low:+.4f}, {high:+.4f}]"
    return one.name, _number(one.a, one.a_interval), _number(one.b, one.b_interval), difference


def _number(value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" + (f"  [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")


def to_json(comparison: Comparison, paired: Paired | None) -> Json:
    """Return a comparison as JSON."""
    metrics: dict[str, Json] = {}
    for one in comparison.metrics:
        metrics[one.name] = {
            "a": one.a,
            "b": one.b,
            "difference": one.difference,
            "a_interval": list(one.a_interval) if one.a_interval else None,
            "b_interval": list(one.b_interval) if one.b_interval else None,
            "paired": _pair(one.name, paired),
        }
    return {
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "same": comparison.same,
        **{
            name: {one.name: {"a": one.a, "b": one.b} for one in found}
            for name, found in comparison.sections.items()
        },
        "metrics": metrics,
        "notes": [*comparison.notes, *([paired.trouble] if paired and paired.trouble else [])],
    }


def _pair(name: str, paired: Paired | None) -> Json:
    if paired is None or name not in paired.differences:
        return None
    point, low, high = paired.differences[name]
    return {"difference": point, "low": low, "high": high}


def _side(side: Side) -> Json:
    return {
        "id": side.job.id,
        "kind": side.job.kind.value,
        "state": side.job.state.value,
        "evaluation": side.evaluation.id if side.evaluation else None,
        "submitted": shapes.moment(side.job.created_at),
    }
