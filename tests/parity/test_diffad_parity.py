"""DiffAD's networks and losses compute what the published code does: against `record_diffad.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import ddad_parity_cases as drawing
import diffad_parity_cases as cases
from ad_detectors.diffusion import schedule
from ad_detectors.nets.learner import built
from ad_detectors.zoo.diffad import autoencoder, segmenter
from ad_detectors.zoo.diffad.autoencoder import KLAutoencoder
from ad_detectors.zoo.diffad.segmenter import Segmenter

PRECISION = 1e-5  # of the greatest of the values that are compared


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor, within: float = PRECISION) -> None:
    theirs, found = recorded[name], drawing.summary(ours)
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= within, f"{name} differs by {apart:.2g} of its greatest value"


def test_the_autoencoder_computes_as_published(recorded: dict[str, np.ndarray]) -> None:
    shape = cases.SHAPE
    net = built(lambda: KLAutoencoder(shape), 0).eval()
    net.load_state_dict(drawing.weights(net.state_dict(), "autoencoder"))
    assert isinstance(net, KLAutoencoder)
    x = drawing.normal("x", (cases.COUNT, 3, shape.image_size, shape.image_size))
    z = drawing.normal("z", (cases.COUNT, shape.channels, shape.side, shape.side))
    with torch.no_grad():
        encoded = net.encoder(x)
        assert_near(recorded, "encoded", encoded)
        assert_near(recorded, "decoded", net.decoder(z))
        mean, deviation = autoencoder.split(encoded)
        each = [autoencoder.loss_of(1.0, x[:1], x[:1], mean[i : i + 1], deviation[i : i + 1]) for i in (0, 1)]
    assert_near(recorded, "divergence", torch.stack(each) * x[0].numel())


def test_the_segmentation_net_its_loss_and_its_scores_are_as_published(
    recorded: dict[str, np.ndarray],
) -> None:
    net = built(lambda: Segmenter(cases.CHANNELS, cases.BASE), 0).eval()
    net.load_state_dict(drawing.weights(net.state_dict(), "segmenter"))
    size = cases.SHAPE.image_size
    x = drawing.normal("seen", (cases.COUNT, cases.CHANNELS, size, size))
    masks = drawing.normal("mask", (cases.COUNT, 1, size, size))[:, 0] > 1.0
    with torch.no_grad():
        logits = net(x)
        maps = segmenter.marked(logits)
        assert_near(recorded, "segmented", maps)
        assert_near(recorded, "focal", segmenter.focal_loss(logits, masks, cases.GAMMA)[None])
        assert_near(recorded, "scores", segmenter.highest(maps, cases.POOL))


def test_the_schedule_is_as_published(recorded: dict[str, np.ndarray]) -> None:
    assert_near(recorded, "abar", schedule.scaled_linear().abar)
