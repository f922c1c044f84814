"""Thresholds chosen by rate, recall or value, and what they get wrong, from stored scores alone."""

import json
from pathlib import Path

import pytest

from ad_detectors.errors import ConfigError
from ad_detectors.evaluation import OperatingPoint, operating_file
from ad_detectors.evaluation.operating import calibrated
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.registry import operating
from ad_platform.registry.operating import ChosenBy, choose, preview
from ad_platform.registry.operating import OperatingPoint as Chosen
from ad_platform.registry.scores import ScoredImage, Scores, read
from job_stories import CALIBRATED, Stories, scores_csv

USUAL = Chosen.from_json({**CALIBRATED})


@pytest.fixture
def stored(stories: Stories) -> Scores:
    job = stories.trained(None)
    return read(stories.storage, stories.evaluated(job, 0.9))


def scores(normal: list[float], bad: list[float], calibration: list[float], maps: bool = True) -> Scores:
    def image(n: int, score: float, split: str, label: bool) -> ScoredImage:
        return ScoredImage(
            f"{split}/{label}/{n}",
            label,
            "cut" if label else "good",
            score,
            split,
            score + 1 if maps else None,
        )

    return Scores(
        "e1",
        (
            *(image(n, score, "test", False) for n, score in enumerate(normal)),
            *(image(n, score, "test", True) for n, score in enumerate(bad)),
            *(image(n, score, "calibration", False) for n, score in enumerate(calibration)),
        ),
    )


@pytest.mark.parametrize("rate", [0.04, 0.05, 0.1, 0.29, 0.5, 0.999])
@pytest.mark.parametrize("normals", [1, 9, 19, 24, 99])
def test_a_rate_gives_the_threshold_that_the_detectors_library_gives(rate: float, normals: int) -> None:
    values = [((7 * n) % 101) / 3 for n in range(normals)]
    given = scores([1.0], [2.0], values)
    if rate < 1 / (normals + 1):
        with pytest.raises(ConfigError) as theirs_told:
            calibrated(values, None, rate)
        with pytest.raises(InvalidValue) as told:
            choose(given, None, ChosenBy.FPR, rate)
        assert str(told.value).split("; ")[0] == str(theirs_told.value).split("; ")[0]
        return
    theirs = calibrated(values, [value + 1 for value in values], rate)
    found = choose(given, None, ChosenBy.FPR, rate)
    assert theirs is not None
    assert OperatingPoint.from_json(found.to_json()) == theirs


def test_the_library_reads_an_operating_point_from_the_file_it_would_write_itself(tmp_path: Path) -> None:
    assert operating.FILE == operating_file.NAME
    assert USUAL is not None
    (tmp_path / operating.FILE).write_text(json.dumps(USUAL.to_json()))
    assert operating_file.load(tmp_path) == OperatingPoint(36.3, 36.3, 0.05, 19, True)


def test_a_recall_is_reached_by_as_high_a_threshold_as_will_do(stored: Scores) -> None:
    for recall in (0.05, 0.5, 0.9, 0.975, 1.0):
        found = choose(stored, USUAL, ChosenBy.RECALL, recall)
        seen = preview(stored, found)
        assert 1 - seen.misses.share >= recall - 1e-9
        higher = [one.score for one in stored.anomalous if one.score > found.threshold]
        closer = Chosen(**{**found.__dict__, "threshold": min(higher)})
        assert 1 - preview(stored, closer).misses.share < recall
        assert (found.certified, found.normals, found.rate) == (False, 0, 1.0)
        assert "no guarantee: it was chosen by test labels" in found.guarantee


def test_a_threshold_by_hand_promises_nothing(stored: Scores) -> None:
    found = choose(stored, USUAL, ChosenBy.VALUE, 20.0)
    assert found.guarantee == "no guarantee: it was set by hand"
    seen = preview(stored, found)
    assert (seen.false_alarms.wrong, seen.false_alarms.of) == (19, 40)
    assert [(one.kind, one.wrong, one.of) for one in seen.by_defect] == [("cut", 0, 20), ("hole", 0, 20)]


def test_the_map_has_the_threshold_of_scores_where_those_are_its_highest_values(stored: Scores) -> None:
    assert choose(stored, USUAL, ChosenBy.VALUE, 20.0).map_threshold == 20.0
    apart = scores([1.0], [2.0], [0.5])
    assert choose(apart, USUAL, ChosenBy.VALUE, 1.5).map_threshold == 36.3
    assert choose(apart, None, ChosenBy.VALUE, 1.5).map_threshold is None


def test_scores_that_depend_on_each_other_certify_no_rate(stored: Scores) -> None:
    compat = Chosen.from_json({**CALIBRATED, "certified": False})
    found = choose(stored, compat, ChosenBy.FPR, 0.1)
    assert (found.certified, "certify no rate" in found.guarantee) == (False, True)


@pytest.mark.parametrize(
    ("by", "wanted", "words"),
    [
        (ChosenBy.FPR, 0.0, "between 0 and 1"),
        (ChosenBy.FPR, 0.01, r"certify no rate of false alarms below 0\.05"),
        (ChosenBy.RECALL, 1.5, "at most 1"),
        (ChosenBy.VALUE, float("nan"), "is a number"),
    ],
)
def test_what_cannot_be_wanted_is_refused(stored: Scores, by: ChosenBy, wanted: float, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        choose(stored, USUAL, by, wanted)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidRequest, match="has no calibration images"):
        choose(scores([1.0], [2.0], []), None, ChosenBy.FPR, 0.1)
    with pytest.raises(InvalidRequest, match="scored no anomalous images"):
        choose(scores([1.0], [], [1.0]), None, ChosenBy.RECALL, 0.9)


def test_scores_are_read_as_they_were_written(stored: Scores) -> None:
    assert len(stored.normal) == 40
    assert len(stored.anomalous) == 40
    assert len(stored.calibration) == 19
    assert stored.defects == ("cut", "hole")
    assert scores_csv(0.9).count("\n") == 100
