"""The curves of a page: ROC, precision and recall, per-region overlap, and how scores are spread."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import inf

from ad_platform.job_report.decisions import ranked
from ad_platform.job_report.results import CALIBRATION, TEST, VALIDATION, PixelCurves, Scored
from ad_platform.job_report.subject import Subject, number
from ad_platform.pages import notation, plots
from ad_platform.pages.frame import Part
from ad_platform.pages.plots import Axis, Bars, Dot, Line, Plot, Point, Rule
from ad_platform.results import result_of

BINS = 36
KINDS = plots.LOOKS  # of defects with a curve of their own
FINE = 500  # places along an axis that a plot can tell apart
STRETCH = 4.0  # how much farther than from the lowest score to the threshold an axis of scores reaches beyond


def curves(subject: Subject) -> Part | None:
    """Show every curve that the evaluation can tell."""
    results = subject.results
    if results is None or not results.scored:
        return None
    test = results.of_split(TEST)
    found: list[Plot] = []
    spread = histogram(subject)
    found += [spread] if spread is not None else []
    notes = ""
    if ranked(test):
        found += [_roc(subject, test), _precision_recall(subject, test)]
    else:
        notes = "There is no ROC curve: it takes good and defective test images. "
    if results.pixels is not None and results.pixels.pro:
        found += _of_pixels(subject, results.pixels)
    else:
        notes += _no_pixels(results.pixels)
    told = f"<p>{notes}</p>" if notes else ""
    return Part(title="Curves", html=told + plots.figures(found, "curve"))


def _no_pixels(pixels: PixelCurves | None) -> str:
    if pixels is None:
        return "This evaluation was made before curves of pixels were kept; evaluate it again to see them."
    return "There are no curves of pixels: they take anomaly maps, and masks of the defects."


def steps(images: Sequence[Scored]) -> list[tuple[float, int, int]]:
    """Return each distinct score, highest first, with the anomalous and good images that reach it.

    Begins above the highest score. Images of one score are one step, so that ties are drawn aslant.
    """
    found, alarms = 0, 0
    told = [(inf, 0, 0)]
    ordered = sorted(images, key=lambda each: -each.score)
    for score, group in groupby(ordered, key=lambda each: each.score):
        several = list(group)
        bad = sum(each.anomalous for each in several)
        found, alarms = found + bad, alarms + len(several) - bad
        told.append((score, found, alarms))
    return told


def roc_points(images: Sequence[Scored]) -> list[Point]:
    """Return the ROC curve: shares of good and of anomalous images that exceed each threshold."""
    told = steps(images)
    _, found, alarms = told[-1]
    return _thin([(each[2] / alarms, each[1] / found) for each in told])


def _thin(points: Sequence[Point]) -> list[Point]:
    """Return a curve without the points that a plot could not tell from those before."""
    kept: list[Point] = []
    for point in points:
        place = (round(point[0] * FINE), round(point[1] * FINE))
        if not kept or place != (round(kept[-1][0] * FINE), round(kept[-1][1] * FINE)):
            kept.append(point)
    kept.append(points[-1])
    return kept


def _roc(subject: Subject, test: Sequence[Scored]) -> Plot:
    good = [each for each in test if not each.anomalous]
    names = sorted({each.defect for each in test if each.anomalous})
    lines = []
    for look, name in enumerate(names[:KINDS] if len(names) > 1 else ()):
        those = [each for each in test if each.anomalous and each.defect == name]
        area = _of_defect(subject, name, "image_auroc")
        lines.append(
            Line(name=f"{name} ({len(those)}): {area}", points=roc_points([*good, *those]), look=look)
        )
    area = _metric(subject, "image_auroc")
    lines.append(Line(name=f"all defects: AUROC {area}", points=roc_points(test), strong=True))
    more = f" Drawn are {KINDS} of {len(names)} kinds of defects." if len(names) > KINDS else ""
    return Plot(
        title="ROC: found against false alarms",
        words=f"As the threshold falls, more defects are found and more good parts called anomalous.{more}",
        across=Axis(label="false alarms (share of good images)"),
        up=Axis(label="found (share of defective)"),
        lines=[Line(name="by chance", points=[(0, 0), (1, 1)], look=5, named=False), *lines],
        dots=_dots(subject, test, recall_up=True),
    )


def _precision_recall(subject: Subject, test: Sequence[Scored]) -> Plot:
    told = steps(test)[1:]
    whole = told[-1][1]
    points: list[Point] = [(0.0, told[0][1] / (told[0][1] + told[0][2]))]
    for _, found, alarms in told:
        precision = found / (found + alarms)
        points += [(points[-1][0], precision), (found / whole, precision)]
    share = whole / len(test)
    return Plot(
        title="Precision against recall",
        words="Of the images called anomalous, the share that is. It depends on how many of the test images "
        f"are defective, {100 * share:.3g} % here, which a line of production never comes near.",
        across=Axis(label="recall (share of defective found)"),
        up=Axis(label="precision"),
        lines=[
            Line(name="by chance", points=[(0, share), (1, share)], look=5, named=False),
            Line(name=f"average precision {_metric(subject, 'image_ap')}", points=_thin(points), strong=True),
        ],
        dots=_dots(subject, test, recall_up=False),
    )


def _dots(subject: Subject, test: Sequence[Scored], *, recall_up: bool) -> list[Dot]:
    """Return where the threshold in use lies on a curve of images."""
    point = subject.operating_point
    if point is None:
        return []
    above = [each for each in test if each.score > point.threshold]
    found = sum(each.anomalous for each in above)
    bad = sum(each.anomalous for each in test)
    recall, alarms = found / bad, (len(above) - found) / (len(test) - bad)
    precision = found / len(above) if above else 1.0
    at = (alarms, recall) if recall_up else (recall, precision)
    return [Dot(name=f"the threshold: {at[0]:.3f}, {at[1]:.3f}", at=at)]


def _of_pixels(subject: Subject, pixels: PixelCurves) -> Iterator[Plot]:
    found = {name: _metric(subject, name) for name in ("aupro_30", "aupro_05", "pixel_ap")}
    limit = max(x for x, _ in pixels.pro)
    at = pixels.pro_at
    inside = at is not None and at[0] <= limit
    beyond = "" if at is None or inside else f" The threshold of maps lies beyond, at {at[0]:.3f}."
    yield Plot(
        title="PRO: overlap with defects against flagged good pixels",
        words="The share of each drawn defect that is flagged, averaged over defects of any size, as the "
        f"threshold of maps falls.{beyond}",
        across=Axis(label="flagged (share of normal pixels)", high=limit),
        up=Axis(label="overlap (mean share of a defect)"),
        lines=[
            Line(
                name=f"AUPRO {found['aupro_30']} up to 0.3, {found['aupro_05']} up to 0.05",
                points=pixels.pro,
                strong=True,
            )
        ],
        dots=[Dot(name=f"the threshold of maps: {at[0]:.4f}, {at[1]:.3f}", at=at)] if at and inside else [],
    )
    place = pixels.precision_recall_at
    yield Plot(
        title="Precision against recall of pixels",
        words="Of the pixels flagged, the share that lies in a drawn defect.",
        across=Axis(label="recall (share of defective pixels)"),
        up=Axis(label="precision"),
        lines=[
            Line(name=f"average precision {found['pixel_ap']}", points=pixels.precision_recall, strong=True)
        ],
        dots=[Dot(name=f"the threshold of maps: {place[0]:.3f}, {place[1]:.3f}", at=place)] if place else [],
    )


def histogram(subject: Subject) -> Plot | None:
    """Show how scores are spread: good images upwards, defective ones downwards, and the threshold."""
    results = subject.results
    assert results is not None
    split = TEST if results.of_split(TEST) else VALIDATION
    shown, calibration = results.of_split(split), results.of_split(CALIBRATION)
    if not shown and not calibration:
        return None
    point = subject.operating_point
    threshold = point.threshold if point is not None else None
    low, high, beyond = _reach([each.score for each in (*shown, *calibration)], threshold)
    edges = [low + (high - low) * place / BINS for place in range(BINS + 1)]
    good = [each.score for each in shown if not each.anomalous]
    bad = [each.score for each in shown if each.anomalous]
    bars = [
        _shares(f"good {split} images ({len(good)}), upwards", good, edges, 0, 1),
        _shares(f"defective {split} images ({len(bad)}), downwards", bad, edges, 1, -1),
    ]
    held = [each.score for each in calibration]
    if held:
        outline = _shares(f"good calibration images ({len(held)})", held, edges, 2, 1)
        bars.append(Bars(name=outline.name, edges=edges, heights=outline.heights, look=2, filled=False))
    bars = [each for each in bars if any(each.heights)]
    top = max(abs(height) for each in bars for height in each.heights) * 1.06
    below = min([0.0, *(height for each in bars for height in each.heights)]) * 1.06
    rules = []
    if threshold is not None:
        rules.append(Rule(name=f"threshold {notation.number(threshold)}", at=threshold))
    more = f" {beyond} images score higher than is shown and lie in the last bar." if beyond else ""
    return Plot(
        title="Image scores and the threshold",
        words="A good detector has no bars upwards right of the threshold, and none downwards left of it."
        f"{more}",
        across=Axis(label="image score (higher is more anomalous)", low=low, high=high),
        up=Axis(label="share of each group, %", low=below, high=top, mirrored=True),
        bars=bars,
        rules=rules,
    )


def _reach(scores: Sequence[float], threshold: float | None) -> tuple[float, float, int]:
    """Return the ends of an axis of scores, and how many lie beyond: a few huge ones hide no threshold."""
    low, high = min(scores), max(scores)
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
        far = threshold + STRETCH * (threshold - low)
        if threshold > low and high > far:
            return low, far, sum(score > far for score in scores)
    if high > low:
        return low, high, 0
    return low - 0.5, high + 0.5, 0


def _shares(name: str, scores: Sequence[float], edges: Sequence[float], look: int, side: int) -> Bars:
    counts = [0] * (len(edges) - 1)
    for score in scores:
        counts[min(max(bisect_right(edges, score) - 1, 0), len(counts) - 1)] += 1
    whole = len(scores) or 1
    return Bars(name=name, edges=edges, heights=[side * 100 * count / whole for count in counts], look=look)


def _metric(subject: Subject, name: str) -> str:
    assert subject.evaluation is not None
    value = result_of(subject.evaluation).metrics.get(f"test/{name}")
    return "n/a" if value is None else f"{value:.3f}"


def _of_defect(subject: Subject, defect: str, name: str) -> str:
    assert subject.evaluation is not None
    defects = subject.evaluation.result.get("defects")
    measures = defects.get(defect) if isinstance(defects, dict) else None
    value = number(measures.get(name)) if isinstance(measures, dict) else None
    return "n/a" if value is None else f"{value:.3f}"
