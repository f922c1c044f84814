"""What the page begins with: whether the detector can be used, and the figures that say so."""

from html import escape

from ad_platform.job_report.decisions import Decided
from ad_platform.job_report.rates import Counted, Share
from ad_platform.job_report.subject import Subject, interval
from ad_platform.job_report.verdict import Level, Reason, decided_of, per_thousand, promise, verdict
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part, Sentence, Tile
from ad_platform.results import result_of

AUROC = "test/image_auroc"
_MARKS = {Level.NO: "✕", Level.CARE: "!", Level.YES: "✓"}
_CLASSES = {Level.NO: "no", Level.CARE: "care", Level.YES: "yes"}


def head(subject: Subject) -> str:
    """Return the head of the page."""
    job = subject.job
    spec = job.spec
    fit = subject.train.id[:8] if subject.train is not None else (spec.source or "")[:8]
    words = [f"{job.kind} {job.id}", *([f"“{job.name}”"] if job.name else [])]
    words += [f"of the fit {fit}"] if subject.train is not job else []
    if subject.evaluation is not None and subject.evaluation.id != job.id:
        words.append(f"evaluated by {subject.evaluation.id}")
    return frame.heading("Detector", subject.title, job.state.value, ", ".join(words))


def judgement(subject: Subject) -> Part:
    """Say whether it can be used, and why."""
    found = verdict(subject)
    kind = _CLASSES[found.level]
    answer = (
        f'<p class="verdict {kind}"><span class="mark" aria-hidden="true">{_MARKS[found.level]}</span>'
        f"{escape(found.answer)}</p>\n"
    )
    rows = "".join(_reason(reason) for reason in found.reasons)
    problems = frame.sentences(
        Sentence(text=f"Not all could be read: {each}.", warning=True) for each in _once(subject)
    )
    return Part(
        title="Can this detector be used?",
        link="Verdict",
        html=f'{answer}<ul class="reasons">{rows}</ul>\n{problems}{frame.tiles(tiles(subject))}',
    )


def _once(subject: Subject) -> list[str]:
    return list(dict.fromkeys(each.rstrip(".") for each in subject.problems))


def _reason(reason: Reason) -> str:
    told = {Level.NO: "Hinders: ", Level.CARE: "Mind: ", Level.YES: ""}[reason.level]
    bold = f"<b>{told}</b>" if told else ""
    return f'<li class="{_CLASSES[reason.level]}">{bold}{_commands(reason.text)}</li>'


def _commands(text: str) -> str:
    """Return words with what is to be typed set apart: from "adctl" to the end or the next semicolon."""
    parts = []
    for each in text.split("; "):
        words, found, command = each.partition(": adctl ")
        parts.append(
            f"{escape(words)}: <code>adctl {escape(command.strip())}</code>" if found else escape(each)
        )
    return "; ".join(parts)


def tiles(subject: Subject) -> list[Tile]:
    """Return the figures that a person looks for first."""
    if subject.evaluation is None:
        return []
    found = [_threshold(subject)]
    decided = decided_of(subject)
    alarms = _alarms(subject, decided)
    found += [alarms] if alarms is not None else []
    if decided is not None and decided.anomalous:
        found.append(_missed(decided.misses))
    found += _auroc(subject)
    return found


def _threshold(subject: Subject) -> Tile:
    point = subject.operating_point
    if point is None:
        return Tile(title="threshold", value="none", words="nothing was held out to fix one")
    images = f"{point.normals} good image{'s' * (point.normals != 1)} held out of training"
    return Tile(
        title="threshold of the image score",
        value=notation.number(point.threshold),
        words=f"a score above it is called anomalous; fixed by {images}, never by test labels",
    )


def _alarms(subject: Subject, decided: Decided | None) -> Tile | None:
    point = subject.operating_point
    if point is None:
        return None
    title = "false alarms per 1000 good parts"
    told = promise(point)
    by_calibration = (
        f"by calibration: {per_thousand(told.value)} on average ({_ends(told)})"
        if point.certified
        else "calibration bounds no rate"
    )
    share = decided.false_alarms.share if decided is not None else None
    if decided is None or share is None:
        if not point.certified:
            return None
        return Tile(
            title=f"expected {title}",
            value=per_thousand(told.value),
            words=f"95 %: {_ends(told)}; by calibration alone, since there are no good test images",
        )
    return Tile(
        title=f"expected {title}",
        value=per_thousand(share.value),
        words=f"95 %: {_ends(share)}; {len(decided.alarms)} of {decided.good} good test images. "
        f"{by_calibration[0].upper()}{by_calibration[1:]}",
    )


def _missed(misses: Counted) -> Tile:
    share = misses.share
    assert share is not None
    return Tile(
        title="missed per 1000 defective parts",
        value=per_thousand(share.value),
        words=f"95 %: {_ends(share)}; {misses.count} of {misses.of} defective test images of all kinds",
    )


def _auroc(subject: Subject) -> list[Tile]:
    assert subject.evaluation is not None
    value = result_of(subject.evaluation).metrics.get(AUROC)
    if value is None:
        return []
    ends = interval(subject.evaluation, AUROC)
    words = f"95 %: {notation.score(ends[0])} to {notation.score(ends[1])}; " if ends else ""
    return [
        Tile(
            title="image AUROC",
            value=notation.score(value),
            words=f"{words}how often a defective image scores above a good one, whatever the threshold",
        )
    ]


def _ends(share: Share) -> str:
    return f"{per_thousand(share.low)} to {per_thousand(share.high)}"
