"""Networks in training depend on seed and step alone, and refuse what is not theirs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from ad_detectors.errors import StateError
from ad_detectors.local import LocalContext
from ad_detectors.nets.learner import Adam, Learner, below, built
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.testing import MemoryImages, pictures


def fresh(width: int = 4) -> Learner:
    return Learner(
        {name: built(lambda: nn.Conv2d(3, width, 3), seed) for seed, name in enumerate(("a", "b"))}
    )


def trained(learner: Learner, steps: int) -> Learner:
    def update(batch: Tensor, step: int) -> Mapping[str, float]:
        noise = torch.randn(len(batch), 3, 8, 8)  # torch's own generator is seeded for each step
        losses = {}
        for name, net in learner.nets.items():
            loss = net(normalised(batch) + noise * step).square().mean()
            learner.optimisers[name].zero_grad()
            loss.backward()
            learner.optimisers[name].step()
            losses[name] = float(loss.detach())
        return losses

    context = LocalContext.__new__(LocalContext)
    context.device, context.seed = torch.device("cpu"), 7
    data = MemoryImages(pictures(5, 8))
    for _ in learner.train(data, context, steps=steps, batch_size=2, adam=Adam(lr=1e-2), update=update):
        torch.rand(9)  # whoever watches may draw
    return learner


def test_stopped_and_restored_it_ends_in_the_same_bits() -> None:
    straight = trained(fresh(), 5).state()
    half = trained(fresh(), 2).state()
    again = fresh()
    again.restore(half, "a test")
    assert again.unfinished
    assert dict(again.state()).keys() == dict(half).keys()
    found = trained(again, 5).state()
    assert found.keys() == straight.keys()
    for key, value in straight.items():
        same = torch.equal(value, found[key]) if isinstance(value, Tensor) else value == found[key]
        assert same, key


def test_finished_it_keeps_weights_alone() -> None:
    learner = trained(fresh(), 2)
    learner.finish()
    assert not learner.unfinished
    assert not below(learner.state(), "training/")
    assert not any(each.requires_grad for each in learner.nets["a"].parameters())


def test_first_weights_follow_from_the_seed_and_leave_the_processs_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second = (built(lambda: nn.Linear(3, 3), 5) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.weight, second.weight)  # type: ignore[arg-type]


def test_a_state_of_other_networks_is_refused_by_name() -> None:
    with pytest.raises(StateError, match="not of a test with this config"):
        fresh(8).restore(fresh(4).state(), "a test")


def test_a_state_without_its_moments_is_refused_when_training_goes_on() -> None:
    half = dict(trained(fresh(), 2).state())
    del half["training/b/exp_avg/weight"]
    again = fresh()
    again.restore(half, "a test")
    with pytest.raises(StateError, match="training/b/exp_avg/weight"):
        trained(again, 3)


def test_pictures_survive_the_way_to_a_network_and_back() -> None:
    images = pictures(2, 16)
    assert torch.equal(shown_again(normalised(images)), images)
