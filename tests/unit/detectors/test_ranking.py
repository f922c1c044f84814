"""Ranking measures are exact: equal to scikit-learn's, with ties, one class and odd numbers handled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ad_detectors.errors import NotFinite
from ad_detectors.metrics import ranking
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max

# Few distinct values make ties; close ones make rounding matter.
SCORES = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, -1.0, 1e-300, 1e300, 0.1, 0.3, 0.1 + 0.2])
PAIRS = st.lists(st.tuples(SCORES, st.booleans()), min_size=2, max_size=60)


def _f1_reference(scores: list[float], labels: list[bool]) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(np.nan_to_num(2 * precision * recall / np.maximum(precision + recall, 1e-300)).max())


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_measures_equal_scikit_learns_with_ties(pairs: list[tuple[float, bool]]) -> None:
    scores, labels = [s for s, _ in pairs], [a for _, a in pairs]
    if len(set(labels)) == 1:
        assert auroc(scores, labels) is None
    else:
        assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    if any(labels):
        assert average_precision(scores, labels) == pytest.approx(
            average_precision_score(labels, scores), abs=1e-12
        )
        assert f1_max(scores, labels) == pytest.approx(_f1_reference(scores, labels), abs=1e-12)


def test_auroc_of_float32_pixels_equals_scikit_learns_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "CHUNK", 1000)
    random = np.random.default_rng(3)
    labels = random.random(20_001) < 0.6
    scores = (random.normal(size=labels.size) + labels).astype(np.float32).round(2)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert auroc([1, 2, 3], [0, 0, 1]) == 1.0
    assert auroc([3, 2, 1], [0, 0, 1]) == 0.0
    assert auroc([1, 1, 1], [0, 1, 1]) == 0.5
    assert auroc([1, 3, 2], [0, 0, 1]) == 0.5


def test_auroc_does_not_change_its_input() -> None:
    scores = np.array([3.0, 1.0, 2.0])
    auroc(scores, [0, 1, 0])
    assert scores.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("measure", [auroc, average_precision, f1_max])
def test_a_score_that_is_not_finite_is_refused(measure: object) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(NotFinite):
            measure([value, 1.0], [0, 1])  # type: ignore[operator]


@pytest.mark.parametrize("measure", [auroc, average_precision, f1_max])
def test_without_anomalous_images_or_any_at_all_there_is_no_measure(measure: object) -> None:
    assert measure([1.0, 2.0], [0, 0]) is None  # type: ignore[operator]
    assert measure([], []) is None  # type: ignore[operator]


def test_scores_and_labels_must_match() -> None:
    with pytest.raises(ValueError, match="2 scores but 1 labels"):
        auroc([1.0, 2.0], [1])


def test_tied_pairs_are_counted() -> None:
    assert ranking.tied_pairs([1, 1, 2, 3], [0, 1, 0, 1]) == 0.25
    assert ranking.tied_pairs([1, 2], [0, 1]) == 0.0
    assert ranking.tied_pairs([1, 1], [1, 1]) is None


def test_a_perfect_ranking_is_not_above_one() -> None:
    for count in (3, 20, 49, 63):
        scores, labels = np.arange(count), np.arange(count) >= count // 3
        assert auroc(scores, labels) == average_precision(scores, labels) == f1_max(scores, labels) == 1.0
