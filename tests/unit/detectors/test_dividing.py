"""Batches computed in halves: less at once, and nothing else that differs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ad_detectors import determinism, dividing, registry
from ad_detectors.api import Scores
from ad_detectors.fitting import ContextCore
from ad_detectors.testing.pictures import MemoryImages, pictures
from ad_detectors.zoo.ddad import adaptation, denoiser
from gradual_mean import Config, GradualMean

TINY = {"steps": 1, "batch_size": 6, "skip": 125}


class Seen(GradualMean):
    """Remembers how many pictures it was given at once."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.calls: list[int] = []

    def score(self, images: Tensor) -> Scores:
        self.calls.append(len(images))
        return Scores(images=images.float().mean((1, 2, 3)), maps=images.float().mean(1))


class Together(Seen):
    """Insists on a number of pictures."""

    @property
    def batch(self) -> int:
        return 5


class Dividing(Seen):
    """Divides by itself."""

    divides = True


@pytest.mark.parametrize(
    ("kind", "divisor", "calls"),
    [(Seen, 1, [5]), (Seen, 2, [3, 2]), (Seen, 9, [1] * 5), (Together, 2, [5]), (Dividing, 2, [5])],
)
def test_a_batch_is_scored_in_parts_unless_the_detector_knows_better(kind, divisor, calls) -> None:
    detector, images = kind(Config()), pictures(5, 16)
    detector.batch_divisor = divisor
    found = dividing.score(detector, images)
    assert detector.calls == calls
    assert torch.equal(found.images, images.float().mean((1, 2, 3)))
    assert found.maps is not None
    assert torch.equal(found.maps, images.float().mean(1))


@pytest.mark.parametrize(("divisor", "sizes"), [(1, [8]), (2, [4, 4]), (100, [1] * 7)])
def test_a_microbatch_is_so_much_smaller(divisor: int, sizes: list[int]) -> None:
    seen: list[int] = []

    def fn(images: Tensor) -> tuple[Tensor]:
        seen.append(len(images))
        return (images.float().mean((1, 2, 3)),)

    images = pictures(7, 16)
    (found,) = determinism.microbatched(fn, images, divisor=divisor)
    assert seen == sizes
    assert torch.equal(found, images.float().mean((1, 2, 3)))


def gradients(divisor: int, dropout: float = 0.0) -> tuple[float, dict[str, Tensor], list[int]]:
    """Return loss and gradients of one step of DDAD's denoiser, and how much the network saw at once."""
    detector = registry.create("ddad", registry.resolve("ddad", "tiny", {**TINY, "dropout": dropout}))
    net = denoiser.fresh(detector.config, seed=3)
    torch.manual_seed(0)
    for parameter in net.net.parameters():  # some begin at zero, and so would most gradients
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    seen: list[int] = []
    net.net.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    images = MemoryImages(pictures(6, detector.config.image_size))
    context = ContextCore(detector, torch.device("cpu"), 3)
    losses: list[float] = []
    net.train(detector.config, images, context, lambda step, loss: losses.append(loss), divisor)
    found = {name: each.grad for name, each in net.net.named_parameters() if each.grad is not None}
    return losses[0], found, seen


@pytest.mark.parametrize(("divisor", "sizes"), [(2, [3, 3]), (4, [2, 2, 2])])
def test_a_step_of_ddad_in_parts_has_the_gradient_of_the_whole_batch(divisor: int, sizes: list[int]) -> None:
    loss, whole, seen = gradients(1)
    divided_loss, divided, seen_divided = gradients(divisor)
    assert (seen, seen_divided) == ([6], sizes)
    assert divided_loss == pytest.approx(loss, rel=1e-5)
    assert list(divided) == list(whole)
    # Of a bias before group norm the gradient is zero, and what is computed of it is rounding.
    least = 1e-4 * max(float(gradient.norm()) for gradient in whole.values())
    for name, gradient in whole.items():
        apart = float((divided[name] - gradient).norm() / gradient.norm().clamp(min=least))
        assert apart < 1e-3, f"{name} differs by {apart}"


def test_ddad_adapts_to_pictures_that_were_rebuilt_in_parts() -> None:
    seen: list[int] = []

    def predict(x: Tensor, t: Tensor) -> Tensor:
        seen.append(len(x))
        return x * 0.5 + t[:, None, None, None]

    x, t = torch.randn(5, 3, 8, 8), torch.arange(5)
    whole = predict(x, t)
    assert torch.equal(adaptation.in_parts(predict, 2)(x, t), whole)
    assert seen == [5, 3, 2]
