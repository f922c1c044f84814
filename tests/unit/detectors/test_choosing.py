"""A gallery shows few pictures, always the same ones, and the mistakes first."""

import random

from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.report.choosing import MOST, Outcome, choose, outcome_of


def scored(defect: str, *scores: float) -> list[ImageResult]:
    return [
        ImageResult(f"test/{defect}/{number}.png", int(defect != "good"), defect, score)
        for number, score in enumerate(scores)
    ]


def test_an_image_is_called_anomalous_only_above_the_threshold() -> None:
    at, above = scored("good", 0.5, 0.6)
    assert [outcome_of(each, 0.5) for each in (at, above)] == [Outcome.PASSED, Outcome.FALSE_ALARM]
    at, above = scored("cut", 0.5, 0.6)
    assert [outcome_of(each, 0.5) for each in (at, above)] == [Outcome.MISSED, Outcome.FOUND]
    assert outcome_of(at, None) is Outcome.UNDECIDED


def test_the_worst_false_alarms_come_first_then_the_worst_misses() -> None:
    images = [*scored("good", 0.1, 0.9, 0.7), *scored("cut", 0.2, 0.95, 0.4)]
    found = [(each.outcome, each.result.score) for each in choose(images, 0.5)]
    assert found[:4] == [
        (Outcome.FALSE_ALARM, 0.9),
        (Outcome.FALSE_ALARM, 0.7),
        (Outcome.MISSED, 0.2),
        (Outcome.MISSED, 0.4),
    ]
    assert found[4:] == [(Outcome.FOUND, 0.95), (Outcome.PASSED, 0.1)]


def test_nothing_is_shown_twice_and_never_more_than_there_is_room_for() -> None:
    draw = random.Random(1)
    images = [
        *scored("good", *(draw.random() for _ in range(40))),
        *(each for kind in "abcdefg" for each in scored(kind, *(draw.random() + 0.3 for _ in range(9)))),
    ]
    chosen = choose(images, 0.6)
    assert len(chosen) == MOST
    assert len({each.index for each in chosen}) == MOST
    assert all(images[each.index] is each.result for each in chosen)
    assert {each.result.defect for each in chosen} == {"good", *"abcdefg"}


def test_with_more_defects_than_places_each_has_at_most_one_before_any_has_two() -> None:
    images = [each for kind in range(30) for each in scored(f"kind{kind:02d}", 0.8, 0.9)]
    chosen = choose(images, 0.5)
    assert [each.result.defect for each in chosen] == [f"kind{kind:02d}" for kind in range(MOST)]


def test_the_choice_does_not_depend_on_the_order_of_images() -> None:
    images = [*scored("good", 0.1, 0.2, 0.2, 0.9), *scored("cut", *(n / 30 for n in range(30)))]
    shuffled = random.Random(4).sample(images, len(images))
    expected = [each.result for each in choose(images, 0.5)]
    assert [each.result for each in choose(shuffled, 0.5)] == expected


def test_good_images_alone_or_none_at_all_will_do() -> None:
    assert choose([], 0.5) == []
    assert [each.result.score for each in choose(scored("good", 3.0, 1.0, 2.0), 5.0)] == [1.0, 2.0, 3.0]
