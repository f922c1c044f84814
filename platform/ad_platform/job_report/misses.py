"""What the threshold does to each kind of defect, to good parts, and what another one would do."""

from collections.abc import Iterator, Sequence
from html import escape

from ad_platform.job_report.decisions import Decided, Option, options
from ad_platform.job_report.rates import Counted
from ad_platform.job_report.results import Results, Scored
from ad_platform.job_report.subject import Subject, number
from ad_platform.job_report.verdict import decided_of, per_thousand
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part

LISTED = 200  # images of a list
BAR = 100  # units of the width of a bar


def by_kind(subject: Subject) -> Part | None:
    """Show what is missed of each kind of defect, and how many good ones are called anomalous."""
    decided = decided_of(subject)
    if decided is None:
        return None
    rows = [_row(kind.name, kind.missed, _auroc(subject, kind.name)) for kind in decided.kinds]
    if len(decided.kinds) > 1:
        rows.insert(0, _row("all defects", decided.misses, _auroc(subject, None)))
    headers = ("defect", "missed", "per 1000 (95 %)", "", "AUROC")
    classes = ("", "number", "number", "bar", "number aside")
    head = "".join(
        f'<th scope="col"{_class(kind)}>{name or "<span class=hidden>as a bar</span>"}</th>'
        for name, kind in zip(headers, classes, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    words = (
        "Defective test images whose score does not exceed the threshold, the kind missed most first. The "
        "bar shows the share that is missed, and where the true one lies with 95 % confidence."
    )
    found = frame.scrolling(table, "Misses of each kind of defect") if rows else ""
    if not rows:
        words = "There are no images of defects among the test images."
    return Part(
        title="What it misses",
        link="Misses",
        html=f"<p>{escape(words)}</p>{found}{_lists(decided)}",
    )


def _row(name: str, missed: Counted, auroc: float | None) -> str:
    share = missed.share
    assert share is not None
    ends = f"({per_thousand(share.low)} to {per_thousand(share.high)})"
    counted = f'<span class="together">{missed.count} of {missed.of}</span>'
    told = f'{per_thousand(share.value)} <span class="together">{ends}</span>'
    bar = (
        f'<svg class="interval" viewBox="0 0 {BAR} 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" x="0" y="4" width="{BAR}" height="4"/>'
        f'<rect class="reach" x="{share.low * BAR:.1f}" y="3" width="{(share.high - share.low) * BAR:.1f}" '
        f'height="6"/><rect class="point" x="{min(share.value * BAR, BAR - 2):.1f}" y="0" width="2" '
        'height="12"/></svg>'
    )
    return (
        f'<tr><th scope="row">{escape(name)}</th><td class="number">{counted}</td>'
        f'<td class="number">{told}</td><td class="bar">{bar}</td>'
        f'<td class="number aside">{"n/a" if auroc is None else notation.score(auroc)}</td></tr>'
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _auroc(subject: Subject, defect: str | None) -> float | None:
    """Return how well a kind of defect, or all, is ranked above good images."""
    assert subject.evaluation is not None
    result = subject.evaluation.result
    if defect is None:
        metrics = result.get("metrics")
        return number(metrics.get("test/image_auroc")) if isinstance(metrics, dict) else None
    defects = result.get("defects")
    measures = defects.get(defect) if isinstance(defects, dict) else None
    return number(measures.get("image_auroc")) if isinstance(measures, dict) else None


def _lists(decided: Decided) -> str:
    parts = []
    for name, images in (("missed", decided.missed), ("false alarms", decided.alarms)):
        if images:
            table = frame.table(
                ("image", "defect", "score", "beyond the threshold by"),
                _rows(images, decided.threshold),
                label=f"All {name}",
                numbers=2,
            )
            more = f"<p>The {LISTED} worst of {len(images)}.</p>" if len(images) > LISTED else ""
            parts.append(frame.folded(f"All {name}: {len(images)}, the worst first", more + table))
    return "".join(parts)


def _rows(images: Sequence[Scored], threshold: float) -> Iterator[tuple[str, ...]]:
    for each in images[:LISTED]:
        away = abs(each.score - threshold)
        yield each.path, each.defect, notation.number(each.score), notation.number(away)


def trade_off(results: Results | None) -> Part | None:
    """Show other thresholds that the same calibration images certify."""
    found = options(results) if results is not None else []
    if results is None or len(found) < 2:
        return None
    words = (
        "A lower threshold misses fewer defects and calls more good parts anomalous. These are certified by "
        "the same calibration images; take one with adctl predict MODEL IMAGE --rate RATE. Choosing among "
        "them by the test columns makes those columns flatter."
    )
    table = frame.table(
        ("rate", "threshold", "good called anomalous", "defects missed"),
        [_option(option) for option in found],
        label="Other thresholds",
        numbers=4,
    )
    return Part(title="Other thresholds", link="Thresholds", html=f"<p>{escape(words)}</p>{table}")


def _option(option: Option) -> tuple[str, ...]:
    decided = option.decided
    return (
        f"{option.rate:.4g}",
        notation.number(decided.threshold),
        f"{len(decided.alarms)} of {decided.good}" if decided.good else "n/a",
        f"{len(decided.missed)} of {decided.anomalous}" if decided.anomalous else "n/a",
    )
