"""Promises on attacks: what is attacked is the score that counts, and has a gradient; or a reason why not."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.api import Attackable
from ad_detectors.errors import NotAttackable, StateError
from ad_detectors.testing.differences import assert_refused
from ad_detectors.testing.pictures import pictures, with_defect
from ad_detectors.testing.subject import Subject, digest

TOLERANCE = 1e-3  # relative to the highest score
CPU = torch.device("cpu")


class AttackPromises:
    """What holds of `attackable` and of `NO_ATTACK`; each costs nothing where no attack is possible."""

    def test_what_is_attacked_is_its_score_and_has_a_gradient(self, subject: Subject) -> None:
        if (attacked := _attacked(subject)) is None:
            return
        images = _two(subject.config.image_size)
        expected = subject.straight.detector.score(images).images
        asked = (images / 255.0).requires_grad_(True)
        scores = attacked.scores(asked, attacked.own_generators(images))
        far = float((scores.detach() - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
        assert far <= TOLERANCE, f"the scores that are attacked differ by {far:.2g} of the highest"
        (gradient,) = torch.autograd.grad(scores.sum(), asked)
        steepest = float(gradient.abs().max())
        assert 0.0 < steepest < float("inf"), f"its score has no gradient that is any use: {steepest}"
        state = digest(subject.straight.detector.state())
        assert state == subject.straight.final, "to attack it changed the state"

    def test_its_score_under_noise_is_finite_and_that_of_each_picture(self, subject: Subject) -> None:
        if (attacked := _attacked(subject)) is None:
            return
        images = _two(subject.config.image_size)
        sigma, noisy = attacked.smoothing(None)
        assert sigma > 0.0
        noised = images / 255.0 + sigma * torch.randn(
            images.shape, generator=torch.Generator().manual_seed(1)
        )
        with torch.no_grad():
            together = noisy(noised, attacked.own_generators(images))
            alone = noisy(noised[1:], attacked.own_generators(images[1:]))
        assert bool(torch.isfinite(together).all()), f"under noise its scores are {together.tolist()}"
        assert torch.allclose(together[1:], alone, rtol=TOLERANCE), "a score under noise depends on the batch"

    def test_nothing_is_attacked_before_a_fit(self, subject: Subject) -> None:
        kinds = (NotAttackable,) if registry.no_attack_of(subject.kind) else (StateError,)
        assert_refused(lambda: subject.new().attackable(CPU), "attacking without a fit", *kinds)


def _two(size: int) -> Tensor:
    clean = pictures(1, size, seed=11)
    return torch.cat([clean, with_defect(clean)])


def _attacked(subject: Subject) -> Attackable | None:
    """Return what is attacked; None where the detector says why nothing is, and refuses for that reason."""
    detector, reason = subject.straight.detector, registry.no_attack_of(subject.kind)
    if not reason:
        return detector.attackable(CPU)
    try:
        detector.attackable(CPU)
    except NotAttackable as error:
        if reason in str(error):
            return None
        raise AssertionError(f"it says '{reason}' beside its Config, and '{error}' when asked") from error
    raise AssertionError(f"it can be attacked, though it says that it cannot: {reason}")
