"""Whether a detector can be used: what hinders it, what one has to mind, and when nothing does."""

from dataclasses import replace
from typing import Any

import pytest

from ad_platform.job_report.decisions import decide, options
from ad_platform.job_report.results import CALIBRATION, TEST, Results, Scored
from ad_platform.job_report.subject import Subject
from ad_platform.job_report.verdict import Level, per_thousand, verdict
from ad_platform.records import Job
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import JobKind, JobState

DATA = DatasetRef(dataset="parts", category="screw", fingerprint="f" * 64, path="/data")
POINT = {"threshold": 0.5, "map_threshold": None, "rate": 1 / 100, "normals": 99, "certified": True}


def job(kind: JobKind, state: JobState = JobState.SUCCEEDED, **more: Any) -> Job:
    spec = JobSpec(kind=kind, detector="toy", dataset=DATA, source=None if kind is JobKind.TRAIN else "t")
    return Job(id=kind[0], seq=1, spec=spec, state=state, user="kim", **more)


def scored(defect: str, *scores: float, split: str = TEST) -> tuple[Scored, ...]:
    return tuple(
        Scored(f"{split}/{defect}/{n}", defect != "good", defect, s, split) for n, s in enumerate(scores)
    )


def subject(*images: tuple[Scored, ...], point: object = POINT, low: float = 0.9, **more: Any) -> Subject:
    result = {
        "operating_point": point,
        "intervals": {"test/image_auroc": [low, 1.0]},
        "metrics": {"test/image_auroc": 0.95},
    }
    made = {
        "job": job(JobKind.TRAIN),
        "train": job(JobKind.TRAIN),
        "evaluation": job(JobKind.EVALUATE, result=result),
        "results": Results(tuple(each for some in images for each in some)),
        **more,
    }
    return Subject(**made)


GOOD = scored("good", *[0.1] * 60)
CUT = scored("cut", *[0.9] * 12)


def test_with_nothing_against_it_the_answer_is_yes_and_says_what_it_did() -> None:
    found = verdict(subject(GOOD, CUT))
    assert found.level is Level.YES
    (reason,) = found.reasons
    assert reason.text == (
        "At its threshold it called none of 60 good test images anomalous and missed none of 12 defective "
        "ones."
    )


@pytest.mark.parametrize(
    ("made", "level", "words"),
    [
        (subject(GOOD, CUT, point=None), Level.NO, "--holdout 10/10"),
        (subject(GOOD, CUT, point={**POINT, "certified": False}), Level.CARE, "bounds no rate"),
        (subject(GOOD, CUT, low=0.48), Level.NO, "begins at 0.4800"),
        (subject(GOOD), Level.NO, "nobody knows what it misses"),
        (subject(CUT), Level.CARE, "no good test images"),
        (subject(GOOD, scored("cut", *[0.9] * 5, *[0.2] * 7)), Level.NO, "misses 7 of 12 defects"),
        (
            subject(GOOD, CUT, scored("dent", *[0.2] * 10)),
            Level.CARE,
            "most of the defects called dent: 10 of 10",
        ),
        (
            subject(GOOD, CUT, scored("dent", *[0.9] * 9, 0.2, 0.2)),
            Level.CARE,
            "some of the defects called dent: 2 of 11",
        ),
        (subject(GOOD, CUT, scored("dent", 0.9)), Level.CARE, "Of dent (1) there are fewer than 10"),
        (subject(scored("good", *[0.1] * 9), CUT), Level.CARE, "cannot rule out 336 false alarms"),
        (subject(scored("good", *[0.1] * 30, *[0.8] * 6), CUT), Level.CARE, "6 of 36, where 10 of 1000"),
        (
            subject(GOOD, CUT, train=job(JobKind.TRAIN, tags={"selected_on": "test"})),
            Level.CARE,
            "selected_on=test",
        ),
        (subject(GOOD, CUT, results=Results()), Level.NO, "evaluate it again"),
        (subject(evaluation=None), Level.NO, "adctl submit evaluate t"),
        (
            subject(evaluation=None, missed=job(JobKind.EVALUATE, JobState.RUNNING)),
            Level.NO,
            "evaluation is running",
        ),
        (
            subject(evaluation=None, missed=job(JobKind.EVALUATE, JobState.FAILED, error="no room.")),
            Level.NO,
            "The evaluate job e failed: no room. See what led to it with: adctl why e",
        ),
    ],
)
def test_what_speaks_against_it_is_said_with_what_to_do(made: Subject, level: Level, words: str) -> None:
    found = verdict(made)
    assert found.level is level
    assert words in found.reasons[0].text


def test_images_of_elsewhere_are_named() -> None:
    made = subject(GOOD, CUT)
    assert made.evaluation is not None
    other = replace(DATA, category="nut", fingerprint="0" * 64)
    moved = replace(made.evaluation, spec=replace(made.evaluation.spec, dataset=other))
    assert (
        "(parts/nut) than it was fitted to (parts/screw)"
        in verdict(replace(made, evaluation=moved)).reasons[0].text
    )


def test_a_score_at_the_threshold_passes_and_mistakes_are_ordered_worst_first() -> None:
    found = decide(Results((*scored("good", 0.5, 0.7, 0.9), *scored("cut", 0.5, 0.1, 0.6))), 0.5)
    assert [each.score for each in found.alarms] == [0.9, 0.7]
    assert [each.score for each in found.missed] == [0.1, 0.5]
    assert (found.false_alarms.count, found.false_alarms.of) == (2, 3)


def test_other_thresholds_are_those_that_the_calibration_images_certify() -> None:
    held = scored("good", *(n / 100 for n in range(1, 20)), split=CALIBRATION)
    found = options(Results((*held, *scored("good", 0.15), *scored("cut", 0.17))))
    assert [(each.allowed, each.rate) for each in found] == [(1, 0.05), (2, 0.1), (4, 0.2), (6, 0.3)]
    # Of 19 scores the 19th, the 18th, the 16th and the 14th smallest.
    assert [each.decided.threshold for each in found] == [0.19, 0.18, 0.16, 0.14]
    assert [len(each.decided.missed) for each in found] == [1, 1, 0, 0]
    assert [len(each.decided.alarms) for each in found] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0"), (0.0004, "0.4"), (0.00994, "9.9"), (0.03333, "33"), (1, "1000")]
)
def test_shares_are_told_by_the_thousand(share: float, words: str) -> None:
    assert per_thousand(share) == words
