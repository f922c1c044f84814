"""The order in which a trial scores: fixed by names, mixed over kinds, and fair to every picture."""

import numpy as np

from ad_detectors.evaluation.order import mixed

KINDS = {"cut": 12, "hole": 6, "scratch": 3, "speck": 1}


def pictures(mark: str = "") -> list[tuple[str, str]]:
    return [(f"{mark}{kind}", f"{kind}/{number}") for kind, count in KINDS.items() for number in range(count)]


def test_all_pictures_come_once_in_an_order_that_names_alone_decide() -> None:
    given = pictures()
    order = mixed(given)
    assert sorted(order) == list(range(22))
    assert mixed(given) == order
    back = given[::-1]
    assert [back[index] for index in mixed(back)] == [given[index] for index in order]
    assert [given[index][0] for index in order] != [kind for kind, _ in given]


def test_names_that_one_system_composes_and_another_does_not_come_in_one_order() -> None:
    composed = [("caf\u00e9", f"{number}.png") for number in range(9)]
    apart = [("cafe\u0301", f"{number}.png") for number in range(9)]
    assert mixed(composed) == mixed(apart)


def test_the_estimate_after_a_part_of_the_pictures_is_right_on_the_average() -> None:
    """Each kind is as hard to see as its name says: an order by kinds would be far off."""
    seen = {"cut": 0.9, "hole": 0.6, "scratch": 0.3, "speck": 0.1}
    placed = np.array([seen[kind] + 0.05 * (number % 3) for kind, n in KINDS.items() for number in range(n)])
    for first in (3, 6, 11, 16):
        estimates = [placed[mixed(pictures(f"{name} "))[:first]].mean() for name in range(400)]
        error = np.mean(estimates) - placed.mean()
        by_chance = placed.std() * np.sqrt((1 / first - 1 / 22) * 22 / 21)
        assert abs(error) < 0.01, first
        assert np.std(estimates) < 0.8 * by_chance, first
