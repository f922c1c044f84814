"""The worst misses and false alarms as pictures, and a few decisions that were right beside them."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from ad_platform.job_report.results import Case, Cases, Scale
from ad_platform.job_report.subject import Subject
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part

ORDER = ("input", "reconstruction", "map", "overlay", "mask")
NAMES = {"map": "anomaly map"}
COARSE = 128  # pixels of a side; pictures of fewer are enlarged pixel by pixel
OPEN = 6  # cases of a sort that are shown at once: as many as an evaluation picks as the worst
MISSED, ALARM = "missed", "false alarm"


def parts(subject: Subject) -> list[Part]:
    """Show what there is; say why where there is nothing."""
    results = subject.results
    if subject.evaluation is None or results is None:
        return []
    cases = results.cases
    if cases is None:
        words = "This evaluation was made before pictures were kept; evaluate it again to see its mistakes."
        return [Part(title="Pictures", html=f"<p>{words}</p>")]
    if not cases.cases:
        return [Part(title="Pictures", html="<p>There are no test images to show.</p>")]
    missed = [case for case in cases.cases if case.outcome == MISSED]
    alarms = [case for case in cases.cases if case.outcome == ALARM]
    rest = [case for case in cases.cases if case not in missed and case not in alarms]
    stands_in = "" if subject.operating_point is not None else f" {_sentence(cases.words)}"
    found = [
        _part(
            "Worst misses",
            missed,
            cases,
            f"Defective parts that passed as good, the lowest score first.{stands_in}",
            f"No defective test image passed as good.{stands_in}",
        ),
        _part(
            "Worst false alarms",
            alarms,
            cases,
            f"Good parts that were called anomalous, the highest score first.{stands_in}",
            f"No good test image was called anomalous.{stands_in}",
        ),
    ]
    if rest:
        about = "Of each kind of defect, and of good parts, some from the lowest to the highest score."
        shown = f"<p>{about}</p>{_legend(cases.scale)}{''.join(_case(each, cases) for each in rest)}"
        found.append(
            Part(
                title="For comparison",
                link="Others",
                html=frame.folded(f"{len(rest)} other test images", shown),
            )
        )
    return found


def shown(cases: Cases, missed: int, alarms: int) -> str:
    """Return the worst so many misses and false alarms of an evaluation, below a heading of theirs."""
    worst = [case for case in cases.cases if case.outcome == MISSED][:missed]
    worst += [case for case in cases.cases if case.outcome == ALARM][:alarms]
    return f"{_legend(cases.scale)}{''.join(_case(case, cases, 4) for case in worst)}" if worst else ""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _part(title: str, cases: Sequence[Case], of: Cases, words: str, none: str) -> Part:
    if not cases:
        return Part(title=title, html=f"<p>{escape(none)}</p>")
    html = f"<p>{escape(words)}</p>{_legend(of.scale)}{''.join(_case(case, of) for case in cases[:OPEN])}"
    rest = cases[OPEN:]
    if rest:
        html += frame.folded(
            f"{len(rest)} more, some of each kind", "".join(_case(case, of) for case in rest)
        )
    return Part(title=title, html=html)


def _case(case: Case, of: Cases, level: int = 3) -> str:
    panels = "".join(_panel(case, name) for name in ORDER if name in case.pictures or name == "mask")
    absent = [why for name, why in case.absent.items() if name not in ("mask", "overlay")]
    note = f" ({'; '.join(dict.fromkeys(absent))})" if absent else ""
    return (
        f'<article class="case"><h{level}>{escape(case.scored.path)}</h{level}>'
        f'<p class="caption">{escape(_caption(case, of.threshold) + note)}</p>'
        f'<div class="panels">{panels}</div></article>\n'
    )


def _caption(case: Case, threshold: float | None) -> str:
    scored = case.scored
    words = f"{scored.defect}: {case.outcome}, score {notation.number(scored.score)}"
    if threshold is None:
        return words
    away = scored.score - threshold
    side = "above" if away > 0 else "below"
    return f"{words}, {notation.number(abs(away))} {side} the threshold {notation.number(threshold)}"


def _panel(case: Case, name: str) -> str:
    title = NAMES.get(name, name)
    data = case.pictures.get(name)
    if data is None:
        why = escape(case.absent.get(name, "there is none"))
        return f'<figure><div class="none">{why}</div><figcaption>{title}</figcaption></figure>'
    kind = ' class="coarse"' if case.side < COARSE else ""
    return (
        f'<figure><img{kind} src="{_uri(data)}" alt="{escape(_alt(case, name))}" loading="lazy">'
        f"<figcaption>{title}{_highest(case, name)}</figcaption></figure>"
    )


def _highest(case: Case, name: str) -> str:
    return f", up to {case.map_max:.4g}" if name == "map" and case.map_max is not None else ""


def _alt(case: Case, name: str) -> str:
    scored = case.scored
    what = f"{scored.path}, {'a defect called ' + scored.defect if scored.anomalous else 'a good part'}"
    highest = "" if case.map_max is None else f"; its highest value is {notation.number(case.map_max)}"
    return {
        "input": f"The image {what}, as the detector saw it",
        "reconstruction": f"What the detector rebuilt of {what}",
        "map": f"Anomaly map of {what}{highest}",
        "overlay": f"The image {what} in grey, with its anomaly map over it",
        "mask": f"Mask of {what}: the defect as a person drew it is white",
    }[name]


def _legend(scale: Scale | None) -> str:
    if scale is None:
        return ""
    low, anchor, high = (notation.number(value) for value in (scale.low, scale.anchor, scale.high))
    colours = f"dark blue to blue-green up to {anchor}, orange to dark red above it, up to {high}"
    return (
        f'<div class="scale"><img src="{_uri(scale.picture)}" alt="Colour scale of anomaly maps: {colours}">'
        f"<p><span>{low}</span><span>{anchor}</span><span>{high}</span></p>"
        "<p>What does not exceed the threshold of maps, in the middle, is never orange or red.</p></div>\n"
    )


def _uri(data: bytes) -> str:
    return f"data:image/webp;base64,{b64encode(data).decode('ascii')}"
