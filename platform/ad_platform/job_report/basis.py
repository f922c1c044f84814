"""What the numbers rest on: which images, how many, and who chose by them."""

from collections import Counter
from collections.abc import Iterator

from ad_platform.holdout import NONE
from ad_platform.job_report.results import CALIBRATION, TEST, VALIDATION
from ad_platform.job_report.subject import Subject, interval
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part
from ad_platform.results import result_of, selected_on

CHOSEN_BY = {
    "none": "nothing: the settings were given, not chosen by any image",
    "validation": "validation images, held out of training: a search tried settings on them",
    "test": "test labels (selected_on=test): figures on the test images flatter",
}
# The names of measures, as a table shows them, by the part after the split.
MEASURES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1_max": "image F1 max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1_max": "pixel F1 max",
    "aupro_30": "AUPRO 0.3",
    "aupro_05": "AUPRO 0.05",
}
OF_DEFECTS = {
    "image_auroc": "AUROC",
    "pixel_auroc": "pixel AUROC",
    "aupro_30": "AUPRO 0.3",
    "aupro_05": "AUPRO 0.05",
}


def basis(subject: Subject) -> Part | None:
    """Say what the numbers rest on."""
    if subject.evaluation is None:
        return None
    return Part(title="What the numbers rest on", link="Basis", html=frame.pairs(_facts(subject)))


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    evaluation, train = subject.evaluation, subject.train
    assert evaluation is not None
    yield "Test images", _test(subject)
    results = subject.results
    if results is not None:
        point = subject.operating_point
        count = len(results.of_split(CALIBRATION))
        by = f"{count} good images, held out of training and used for nothing else" if count else ""
        yield "The threshold", by if point is not None and by else "none: no images were held out to fix one"
        good = [each for each in results.of_split(VALIDATION) if not each.anomalous]
        spoilt = len(results.of_split(VALIDATION)) - len(good)
        if good:
            yield (
                "Validation",
                f"{len(good)} good images held out of training, and {spoilt} copies of them with a synthetic "
                "defect each",
            )
    spec = evaluation.spec
    held = "nothing" if spec.holdout == NONE else f"{spec.holdout} percent (validation/calibration)"
    fitted = train.result.get("images") if train is not None else None
    counted = f"{fitted} good images; " if isinstance(fitted, int) else ""
    yield "Fitted to", f"{counted}held out of the good training images: {held}"
    chosen = selected_on(train or evaluation)
    yield "Settings chosen by", CHOSEN_BY.get(chosen, chosen)
    unmarked = evaluation.result.get("unmarked")
    if isinstance(unmarked, int) and unmarked:
        yield (
            "Without a mask",
            f"{unmarked} defective test images, which no measure of pixels counts: nobody drew their defect",
        )
    yield (
        "Intervals",
        "95 %; of shares exact (Clopper and Pearson), of other measures by drawing the test images anew. "
        "They tell how far so few images can be trusted, not how parts, light or cameras may change",
    )


def _test(subject: Subject) -> str:
    results = subject.results
    test = results.of_split(TEST) if results is not None else []
    if not test:
        return "none"
    bad = Counter(each.defect for each in test if each.anomalous)
    kinds = f" of {len(bad)} kinds" if len(bad) > 1 else ""
    chosen = (
        ""
        if selected_on(subject.train or subject.job).startswith(TEST)
        else "; they fixed no threshold and no setting"
    )
    return f"{len(test)}: {len(test) - bad.total()} good, {bad.total()} with defects{kinds}{chosen}"


def measures(subject: Subject) -> Part | None:
    """Show every measure, on test and on validation images."""
    evaluation = subject.evaluation
    if evaluation is None:
        return None
    found = result_of(evaluation).metrics
    rows = [
        (
            words,
            *(_cell(found.get(f"{split}/{name}")) for split in ("test",)),
            _ends(subject, name),
            _cell(found.get(f"{VALIDATION}/{name}")),
        )
        for name, words in MEASURES.items()
        if f"test/{name}" in found or f"{VALIDATION}/{name}" in found
    ]
    table = frame.table(("measure", "test", "95 %", "validation"), rows, label="Scores", numbers=3)
    words = (
        "The test column is of the test images, the other of good images held out of training against copies "
        "of them with synthetic defects. AP is average precision, F1 max that of the best threshold, AUPRO "
        "the area under the per-region overlap up to that false-positive rate."
    )
    saturated = found.get(f"{VALIDATION}/saturated") == 1.0
    words += (
        " On those every pair is ranked right, so they cannot tell this detector from a better one."
        if saturated
        else ""
    )
    took = evaluation.result.get("ms_per_image")
    took_words = (
        f"<p>Scoring an image took {took:.4g} ms on the machine that evaluated it.</p>"
        if isinstance(took, int | float)
        else ""
    )
    return Part(title="Scores", html=f"<p>{words}</p>{table}{took_words}{_defects(subject)}")


def _ends(subject: Subject, name: str) -> str:
    assert subject.evaluation is not None
    ends = interval(subject.evaluation, f"test/{name}")
    return f"{notation.score(ends[0])} to {notation.score(ends[1])}" if ends is not None else ""


def _cell(value: float | None) -> str:
    return "n/a" if value is None else notation.score(value)


def _defects(subject: Subject) -> str:
    assert subject.evaluation is not None
    defects = subject.evaluation.result.get("defects")
    if not isinstance(defects, dict) or not defects:
        return ""
    rows = []
    for name, each in sorted(defects.items()):
        known = each if isinstance(each, dict) else {}
        values = [known.get(measure) for measure in OF_DEFECTS]
        rows.append((name, *(_cell(float(v)) if isinstance(v, int | float) else "n/a" for v in values)))
    table = frame.table(
        ("defect", *OF_DEFECTS.values()), rows, label="Scores of each kind of defect", numbers=len(OF_DEFECTS)
    )
    return frame.folded("Scores of each kind of defect, against all good test images", table)
