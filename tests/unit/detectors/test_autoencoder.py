"""The autoencoder learns what it is shown, under every loss, and says so when sizes do not fit."""

from __future__ import annotations

import pytest
import torch

from ad_detectors.config import build
from ad_detectors.errors import ConfigError
from ad_detectors.pixels import normalised
from ad_detectors.testing import pictures
from ad_detectors.zoo.autoencoder.config import Config
from ad_detectors.zoo.autoencoder.network import AutoencoderNet, distance, loss_of


@pytest.mark.parametrize("loss", ["l2", "l1", "ssim", "l2+ssim"])
def test_one_picture_is_learnt_by_heart(loss: str) -> None:
    torch.manual_seed(1)
    net, picture = AutoencoderNet((8, 16), 8), normalised(pictures(2, 16))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        found = loss_of(loss, picture, net(picture))
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        losses.append(float(found.detach()))
    times = {"l2": 10, "l1": 4, "ssim": 2, "l2+ssim": 2}[loss]
    assert losses[-1] * times < losses[0], f"{loss} went from {losses[0]:.3g} to {losses[-1]:.3g}"


def test_what_comes_back_whole_is_at_no_distance() -> None:
    picture = normalised(pictures(1, 32))
    for measure in ("l2", "l1", "ssim"):
        assert float(distance(measure, picture, picture).abs().max()) < 1e-5
        assert distance(measure, picture, picture.flip(3)).shape == (1, 32, 32)
        assert float(distance(measure, picture, -picture).mean()) > 0.1


def test_a_size_that_cannot_be_halved_so_often_is_refused_with_one_that_can() -> None:
    with pytest.raises(ConfigError, match=r"image_size = 48 cannot be halved 5 times.* a multiple of 32"):
        build(Config, {"image_size": 48, "widths": [4, 4, 4, 4, 4]})
