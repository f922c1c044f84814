"""The best of many flatters, and by how much is estimated where the truth is known."""

from pathlib import Path

import numpy as np
import pytest

from ad_detectors.metrics.ranking import auroc
from ad_platform.sweeps.report import Optimism
from ad_workers.selection import Scored, aligned, corrected, read_scores

HALF = np.arange(60) % 2 == 0
PATHS = tuple(f"test/{number:03}.png" for number in range(60))


def noise(trials: int, *, images: int = 60, repeats: int = 1, seed: int = 0) -> Scored:
    """Trials that all know nothing."""
    scores = np.random.default_rng(seed).normal(size=(trials, repeats, images))
    return Scored(scores, HALF[:images], PATHS[:images])


def of(scored: Scored, **more: int) -> Optimism:
    found = corrected(scored, among=len(scored.scores), **more)
    assert found is not None
    return found


def test_the_best_of_many_that_know_nothing_is_found_to_know_nothing() -> None:
    found = [of(noise(200, seed=seed)) for seed in range(8)]
    assert min(each.selected for each in found) > 0.63
    assert abs(np.mean([each.corrected for each in found]) - 0.5) < 0.03
    assert all(each.low < 0.5 < each.high for each in found)
    assert all(each.optimism == each.selected - each.corrected for each in found)
    assert (found[0].trials, found[0].images) == (200, 60)


def test_a_trial_that_is_much_better_than_the_others_hardly_flatters() -> None:
    scored = noise(50)
    scored.scores[31] += 2.5 * scored.labels
    found = of(scored)
    assert found.selected == auroc(scored.scores[31, 0], scored.labels)
    assert abs(found.optimism) < 0.005
    assert found.low < found.selected


def test_the_mean_over_repeats_chooses_and_is_corrected() -> None:
    scored = noise(30, repeats=3)
    means = [np.mean([auroc(repeat, scored.labels) or 0.0 for repeat in trial]) for trial in scored.scores]
    found = of(scored)
    assert found.selected == pytest.approx(max(means))
    assert abs(found.corrected - 0.5) < 0.08


def test_it_is_the_same_each_time_and_another_seed_hardly_matters() -> None:
    scored = noise(40)
    assert of(scored) == of(scored)
    other = of(scored, seed=1)
    assert other.corrected != of(scored).corrected
    assert other.corrected == pytest.approx(of(scored).corrected, abs=0.02)


def test_equal_trials_cannot_flatter() -> None:
    scored = noise(1)
    equal = Scored(np.repeat(scored.scores, 20, axis=0), scored.labels, scored.paths)
    found = of(equal)
    assert found.corrected == pytest.approx(found.selected, abs=0.01)


def test_a_picture_and_its_planted_defects_are_drawn_together() -> None:
    labels = np.tile([False, True, True], 20)
    paths = tuple(f"train/good/{number // 3:03}.png" for number in range(60))
    together, apart = [], []
    for seed in range(4):
        random = np.random.default_rng(seed)
        luck = random.normal(size=(150, 1, 20))  # how a trial takes any defect in a picture
        scores = np.repeat(luck, 3, axis=2) * labels + 0.1 * random.normal(size=(150, 1, 60))
        together.append(of(Scored(scores, labels, paths)).corrected)
        apart.append(of(Scored(scores, labels, PATHS)).corrected)
    assert abs(np.mean(together) - 0.5) < 0.05
    assert np.mean(apart) > 0.6  # what was left out knew of what was drawn


@pytest.mark.parametrize(
    "scored",
    [
        noise(1),
        Scored(noise(5).scores, np.ones(60, np.bool_), PATHS),
        Scored(noise(5).scores, np.zeros(60, np.bool_), PATHS),
        Scored(noise(5, images=2).scores, HALF[:2], PATHS[:2]),  # each class has one picture, always drawn
    ],
    ids=["one trial", "no normal", "no anomalous", "two images"],
)
def test_where_nothing_can_be_told_nothing_is(scored: Scored) -> None:
    assert corrected(scored, among=5) is None


def lines(*rows: str) -> str:
    return "\n".join(["path,label,defect,score,split", *rows, ""])


def test_scores_are_read_by_split_and_pictures_with_two_like_defects_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(
        lines(
            "a.png,0,good,0.25,validation",
            "a.png,1,blob,0.5,validation",
            "a.png,1,blob,0.75,validation",
            "t.png,1,cut,9.0,test",
        )
    )
    assert read_scores(file, "validation") == {
        ("a.png", "0", "good", 0): 0.25,
        ("a.png", "1", "blob", 0): 0.5,
        ("a.png", "1", "blob", 1): 0.75,
    }
    assert list(read_scores(file, "test").values()) == [9.0]


def test_trials_of_other_images_are_left_out() -> None:
    first = {("a", "0", "good", 0): 0.1, ("b", "1", "cut", 0): 0.9}
    turned = dict(reversed(first.items()))
    other = {("a", "0", "good", 0): 0.1, ("c", "1", "cut", 0): 0.9}
    scored = aligned([[first], [turned], [other]])
    assert scored is not None
    assert scored.scores.shape == (2, 1, 2)
    assert scored.labels.tolist() == [False, True]
    assert aligned([]) is None
    broken = {**first, ("b", "1", "cut", 0): float("nan")}
    assert aligned([[broken], [first]]) is None
    without = aligned([[first], [broken]])
    assert without is not None
    assert len(without.scores) == 1
