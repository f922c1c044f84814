"""The classifier learns labels where there are some, makes defects up where not, and shows where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.api import Detector
from ad_detectors.config import build
from ad_detectors.data.defects import spoil
from ad_detectors.errors import DataError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import MemoryImages, pictures
from ad_detectors.zoo.cnn.network import Classifier

STEPS = 25


class WithDefects(MemoryImages):
    """Normal pictures beside labelled ones."""

    def __init__(self, pixels: Tensor, anomalous: Tensor) -> None:
        super().__init__(pixels)
        self.anomalous = MemoryImages(anomalous)


def fitted(data: MemoryImages, **settings: Any) -> Detector:
    kind = registry.detector_class("cnn")
    config = build(kind.Config, {**registry.resolve("cnn", "tiny", {}), "steps": STEPS, **settings})
    detector = kind(config)
    run_fit(detector, data, ContextCore(detector, torch.device("cpu"), 3))
    return detector


def bright(count: int, seed: int = 0, size: int = 32) -> Tensor:
    return (pictures(count, size, seed=seed).float() / 2 + 120).to(torch.uint8)


def dark(count: int, seed: int = 0, size: int = 32) -> Tensor:
    return (pictures(count, size, seed=seed).float() / 2).to(torch.uint8)


def test_it_learns_the_labels_that_it_is_given_whatever_their_number() -> None:
    # Of another size too: they are resized as the normal ones are.
    detector = fitted(WithDefects(dark(12, size=40), bright(2, size=40)))
    normal, anomalous = (detector.score(each(6, seed=9)).images for each in (dark, bright))
    assert float(anomalous.min()) > float(normal.max())
    unseen = detector.score(spoil(dark(6, seed=9), 1).images).images
    assert float(unseen.median()) < float(anomalous.min()), "what was not labelled was not to be learnt"


def test_told_to_make_defects_up_it_leaves_labels_alone() -> None:
    data = dark(12)
    alone = fitted(MemoryImages(data), labels="synthetic").state()
    beside = fitted(WithDefects(data, bright(4)), labels="synthetic").state()
    both = fitted(WithDefects(data, bright(4)), labels="both").state()
    key = "network/net/outer.weight"
    assert torch.equal(alone[key], beside[key])
    assert not torch.equal(alone[key], both[key])


@pytest.mark.parametrize("labels", ["labelled", "both"])
def test_labels_that_are_wanted_and_not_there_are_asked_for(labels: str) -> None:
    with pytest.raises(DataError, match="train/<defect>/, or set labels = synthetic"):
        fitted(MemoryImages(dark(4)), labels=labels)


def test_a_probability_ranks_as_the_log_odds_do_and_stays_within_one() -> None:
    data, images = MemoryImages(dark(8)), torch.cat([dark(3, seed=5), bright(3, seed=5)])
    odds = fitted(data).score(images).images
    chance = fitted(data, image_score="probability").score(images).images
    assert torch.allclose(chance, torch.sigmoid(odds), atol=1e-6)


def test_what_places_add_is_the_gradient_times_the_features_and_sums_up_to_the_log_odds() -> None:
    torch.manual_seed(1)
    net = Classifier((4, 6, 8), 10, 2, batch_norm=False).eval()
    net.inner.bias.data.zero_()
    net.outer.bias.data.zero_()
    features = net.blocks(torch.rand(3, 3, 64, 64) * 2 - 1).detach().requires_grad_(True)
    odds, places = net.judged(features)
    (gradient,) = torch.autograd.grad(odds.sum(), features)
    assert torch.allclose(places, (gradient * features).sum(1), atol=1e-6)
    assert torch.allclose(places.sum((1, 2)), odds, atol=1e-5)


def test_the_registry_says_who_learns_from_defects() -> None:
    found = {name: registry.describe(name).supervised for name in ("cnn", "autoencoder", "anogan", "dte")}
    assert found == {"cnn": True, "autoencoder": False, "anogan": False, "dte": False}
