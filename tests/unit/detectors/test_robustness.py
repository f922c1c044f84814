"""Attacks stay within what they may change, go the way they are asked, and bounds hold against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ad_detectors.data.layout import GOOD
from ad_detectors.errors import NotAttackable, StateError
from ad_detectors.evaluation.parts import Part, Pictures
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.gradients import Exported, smooth_maximum
from ad_detectors.metrics.ranking import auroc
from ad_detectors.robustness import asked, evaluating, pgd, smoothing
from ad_detectors.robustness.asked import Attack, Certificate
from ad_detectors.robustness.evaluating import PartialAttacks
from ad_detectors.testing.pictures import MemoryImages, pictures, with_defect
from ad_detectors.zoo.anoddpm.detector import AnoDDPM
from ad_detectors.zoo.pixel_mean import PixelMean
from gradual_mean import Config, GradualMean

CPU = torch.device("cpu")
ATTACKS = [Attack(norm="linf", eps=2 / 255, steps=10), Attack(norm="l2", eps=0.2, steps=10)]


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def noisy_mean(images: Tensor, own: Sequence[torch.Generator]) -> Tensor:
    """Return a score that draws noise, curved so that gradients differ from place to place."""
    noise = torch.stack([torch.randn(images.shape[1:], generator=each) for each in own])
    return ((images + 0.1 * noise - 0.4).square() * torch.linspace(0, 1, images.shape[-1])).mean((1, 2, 3))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.norm)
def test_an_attack_stays_in_its_ball_and_within_the_range_and_changes_scores_as_asked(attack: Attack) -> None:
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)).round(decimals=1)
    raising = torch.tensor([True, False] * 3)
    seen: list[Tensor] = []

    def score(changed: Tensor, own: Sequence[torch.Generator]) -> Tensor:
        seen.append(changed.detach())
        return noisy_mean(changed, own)

    found = pgd.pgd(score, images, raising, attack, generators(6))
    for each in [*seen, found]:
        assert 0.0 <= float(each.min()) <= float(each.max()) <= 1.0
        change = (each - images).flatten(1)
        length = change.abs().amax(1) if attack.norm == "linf" else change.norm(dim=1)
        assert float(length.max()) <= attack.eps * (1 + 1e-5)
    before, after = (noisy_mean(each, generators(6)) for each in (images, found))
    assert bool((after > before)[raising].all())
    assert bool((after < before)[~raising].all())


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.norm)
def test_a_linear_score_is_moved_as_far_as_the_ball_reaches(attack: Attack) -> None:
    weights = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(2))
    images = torch.full((2, 3, 8, 8), 0.5)

    def score(changed: Tensor, own: Sequence[torch.Generator]) -> Tensor:
        return (changed * weights).sum((1, 2, 3))

    found = pgd.pgd(score, images, torch.tensor([True, False]), attack, generators(2))
    far = (weights.abs().sum() if attack.norm == "linf" else weights.norm()) * attack.eps
    moved = score(found, []) - score(images, [])
    torch.testing.assert_close(moved, torch.stack([far, -far]), rtol=1e-3, atol=0.0)


def test_an_image_is_attacked_alone_as_in_a_batch() -> None:
    images = torch.rand(3, 3, 8, 8)
    raising = torch.tensor([True, False, True])
    together = pgd.pgd(noisy_mean, images, raising, ATTACKS[1], generators(3))
    alone = pgd.pgd(noisy_mean, images[1:2], raising[1:2], ATTACKS[1], generators(3)[1:2])
    torch.testing.assert_close(together[1:2], alone)


def test_an_attack_that_overshoots_keeps_the_best_of_all_steps() -> None:
    attack = Attack(norm="linf", eps=0.3, steps=1, eot=1)  # its only step leads far beyond the top
    images = torch.full((1, 1, 2, 2), 0.5)

    def score(changed: Tensor, own: Sequence[torch.Generator]) -> Tensor:
        return -(changed - 0.51).square().sum((1, 2, 3))

    assert torch.equal(pgd.pgd(score, images, torch.tensor([True]), attack, generators(1)), images)


def test_a_smooth_maximum_is_near_the_highest_and_leans_on_more_than_one_place() -> None:
    maps = torch.tensor([[[1.0, 0.99], [0.2, 0.1]]], requires_grad=True)
    found = smooth_maximum(maps, 0.05)
    assert float(found.detach()) == pytest.approx(1.0, abs=0.05)
    (gradient,) = torch.autograd.grad(found.sum(), maps)
    assert 0.3 < float(gradient[0, 0, 1]) < float(gradient[0, 0, 0]) < 0.7
    assert float(gradient[0, 1].sum()) < 1e-3


@pytest.mark.parametrize(("draws", "ratio"), [(100, 0.5), (1000, 1.0), (50, 0.0), (10, 2.0)])
def test_bounds_come_from_ranks_that_hold_with_the_wanted_confidence(draws: int, ratio: float) -> None:
    low, high = smoothing.ranks(draws, ratio, 1.0, 0.99)
    share = 0.5 * (1 + math.erf(-ratio / math.sqrt(2)))
    dice = np.random.default_rng(3)
    below = dice.binomial(draws, share, 40_000)
    assert (below >= low).mean() >= 0.985
    assert (below >= low + 1).mean() < 0.99 + 0.005, "a higher rank would have done"
    assert low + high == draws + 1


def test_draws_that_are_too_few_for_the_radius_bound_nothing() -> None:
    found = smoothing.bounds(np.arange(10.0), eps=3.0, sigma=1.0)
    assert (found.median, found.low, found.high) == (4.5, -math.inf, math.inf)


def test_bounds_hold_for_a_linear_score_moved_to_the_end_of_the_ball() -> None:
    """The median of a linear score under a change of length e moves by e times its slope, no further."""
    dice, slope, eps, sigma = np.random.default_rng(5), 2.0, 0.3, 0.5
    missed = 0
    for _ in range(300):
        found = smoothing.bounds(slope * dice.normal(0.0, sigma, 400), eps, sigma)
        assert found.low <= found.median <= found.high
        missed += found.low > -slope * eps
        missed += found.high < slope * eps
    assert missed <= 12, "of 600 bounds, one in a hundred may be wrong"


class Shown(Pictures):
    """Pictures of which every other one has a defect."""

    def __init__(self, count: int) -> None:
        clean = pictures(count, 16, seed=5)
        clean[1::2] = with_defect(clean[1::2])
        super().__init__(MemoryImages(clean))

    def defect(self, index: int) -> str:
        return "cut" if index % 2 else GOOD


def part(count: int = 10) -> Part:
    return Part("test", Shown(count))


@pytest.fixture(scope="module")
def fitted() -> GradualMean:
    detector = GradualMean(Config(image_size=16))
    run_fit(detector, MemoryImages(pictures(12, 16)), ContextCore(detector, CPU, 3))
    return detector


ASKED = [
    ("linf", Attack(norm="linf", eps=16 / 255, steps=8, eot=1)),
    ("l2", Attack(norm="l2", eps=1.0, steps=8, eot=1)),
    ("certified", Certificate(eps=0.05, sigma=0.1, draws=60)),
]


def test_an_attacked_detector_ranks_worse_and_never_better_than_it_did(fitted: GradualMean) -> None:
    test, labels = part(), evaluating.labels_of(part())
    plain = fitted.score(test.pictures.batch(range(10))).images.numpy()
    linf, l2, bound = evaluating.attack(fitted.attackable(CPU), test, ASKED, CPU)
    for found in (linf, l2):
        assert (found.scores[labels] < plain[labels]).all()
        assert (found.scores[~labels] > plain[~labels]).all()
        assert found.image_auroc is not None
        assert found.image_auroc <= auroc(plain, labels)  # type: ignore[operator]
    assert bound.medians is not None
    assert (bound.scores[labels] <= bound.medians[labels]).all()
    assert (bound.scores[~labels] >= bound.medians[~labels]).all()
    assert bound.image_auroc <= bound.median_auroc  # type: ignore[operator]
    assert set(bound.flat()) == {"attack/certified/image_auroc", "attack/certified/median_image_auroc"}
    assert bound.to_json()["unbounded"] == 0


def test_a_larger_budget_leaves_less(fitted: GradualMean) -> None:
    def left(eps: float) -> NDArray[np.float64]:
        how = [("linf", Attack(norm="linf", eps=eps, steps=8, eot=1))]
        return evaluating.attack(fitted.attackable(CPU), part(), how, CPU)[0].scores

    labels = evaluating.labels_of(part())
    assert (left(0.1)[labels] < left(0.02)[labels]).all()
    assert (left(0.1)[~labels] > left(0.02)[~labels]).all()


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 2, 5])
def test_attacks_that_were_stopped_go_on_to_the_same_scores(fitted: GradualMean, at: int) -> None:
    whole, partial, calls = evaluating.attack(fitted.attackable(CPU), part(), ASKED, CPU), PartialAttacks(), 0

    def stop(done: int, of: int) -> None:
        nonlocal calls
        calls += 1
        assert 0 < done <= of == 30
        if calls == at:
            raise Stop

    with pytest.raises(Stop):
        evaluating.attack(fitted.attackable(CPU), part(), ASKED, CPU, stop, partial)
    again = PartialAttacks.restore(partial.state())
    found = evaluating.attack(fitted.attackable(CPU), part(), ASKED, CPU, None, again)
    for one, other in zip(whole, found, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)


def test_attacks_of_something_else_are_not_gone_on_with(fitted: GradualMean) -> None:
    partial = PartialAttacks()
    evaluating.attack(fitted.attackable(CPU), part(4), ASKED[:1], CPU, None, partial)
    with pytest.raises(StateError, match="other attacks were begun before; evaluate anew"):
        evaluating.attack(fitted.attackable(CPU), part(4), ASKED[1:], CPU, None, partial)


def test_what_has_no_gradient_says_so_by_name() -> None:
    with pytest.raises(NotAttackable, match="no gradient of its score is offered"):
        AnoDDPM(AnoDDPM.Config()).attackable(CPU)


def test_what_exports_can_be_attacked(tmp_path: object) -> None:
    detector = PixelMean(PixelMean.Config(image_size=16, blur_sigma=0.5))
    run_fit(detector, MemoryImages(pictures(6, 16)), ContextCore(detector, CPU, 3))
    assert isinstance(detector.attackable(CPU), Exported)
    found = evaluating.attack(detector.attackable(CPU), part(6), ASKED[:1], CPU)[0]
    assert found.image_auroc is not None


@pytest.mark.parametrize(("name", "how"), ASKED)
def test_an_attack_survives_json(name: str, how: Attack | Certificate) -> None:
    assert asked.from_json(asked.to_json(name, how)) == (name, how)
    changed = replace(how, eps=0.5)
    assert asked.from_json(asked.to_json(name, changed))[1] != how
