"""How thresholds look beside what they get wrong: as a table, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_cli import out

if TYPE_CHECKING:
    from ad_platform.registry.operating import Errors, Preview
    from ad_platform.specs import Json
    from ad_platform.thresholds import Look

ALARMS, MISSES = "false alarms", "misses"


def show(seen: Look) -> None:
    """Print a threshold, the one in force beside it, and what each gets wrong."""
    if out.as_json():
        out.data(to_json(seen))
        return
    chosen = seen.then or seen.now
    if out.quiet():
        out.text("none" if chosen is None else repr(chosen.operating.threshold))
        return
    out.pairs(
        {
            "model": seen.model.words,
            "scores of": f"evaluation {seen.evaluation.id}",
            "now": _words(seen.now),
            **({"then": _words(seen.then)} if seen.then is not None else {}),
        }
    )
    if chosen is None:
        return
    out.text("")
    both = [(word, one) for word, one in (("NOW", seen.now), ("THEN", seen.then)) if one is not None]
    header = ["", "IMAGES", *(cell for word, _ in both for cell in (word, "SHARE", "95 %"))]
    columns = [_errors(one) for _, one in both]
    rows = [
        (name, str(first.of), *(cell for column in columns for cell in _cells(column[place][1])))
        for place, (name, first) in enumerate(columns[0])
    ]
    out.table(header, rows)


def to_json(seen: Look) -> dict[str, Json]:
    """Return both thresholds with what they get wrong."""
    return {
        "model": seen.model.name,
        "alias": seen.model.alias,
        "job": seen.model.job.id if seen.model.job else None,
        "evaluation": seen.evaluation.id,
        "now": None if seen.now is None else _json(seen.now),
        "then": None if seen.then is None else _json(seen.then),
    }


def _words(preview: Preview | None) -> str:
    if preview is None:
        return "no threshold: nothing was held out to calibrate on"
    return f"{preview.operating.threshold:.6g}  {preview.operating.guarantee}"


def _errors(preview: Preview) -> list[tuple[str, Errors]]:
    rows = [(ALARMS, preview.false_alarms), (MISSES, preview.misses)]
    return rows + [(f"  {one.kind}", one) for one in preview.by_defect]


def _cells(errors: Errors) -> tuple[str, str, str]:
    if not errors.of:
        return "-", "-", "-"
    low, high = errors.interval
    return str(errors.wrong), f"{100 * errors.share:.1f} %", f"[{100 * low:.1f}, {100 * high:.1f}]"


def _json(preview: Preview) -> dict[str, Json]:
    return {
        **preview.operating.to_json(),
        "guarantee": preview.operating.guarantee,
        "false_alarms": preview.false_alarms.to_json(),
        "misses": preview.misses.to_json(),
        "defects": [one.to_json() for one in preview.by_defect],
    }
