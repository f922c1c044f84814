"""What DDAD is timed against, its procedure written down plainly, computes what DDAD computes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from parts import plain_ddad as plain
from parts.plain_unet import PlainUNet

import ddad_parity_cases as cases
from ad_detectors.backbones import features
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.data import decoding
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, reconstruct
from ad_detectors.diffusion.training import loss_at
from ad_detectors.metrics.published import pro_compat
from ad_detectors.nets.unet import UNet, UNetShape, build_unet
from ad_detectors.pixels import normalised
from ad_detectors.zoo.ddad.scoring import batch_weight, published_maps

SHAPE = UNetShape(image_size=32, base_channels=32, heads=2)
NEAR = 1e-4  # of the greatest value


@pytest.fixture
def nets() -> tuple[UNet, PlainUNet]:
    ours, theirs = build_unet(SHAPE, 0), PlainUNet(SHAPE)
    ours.load_state_dict(cases.weights(ours.state_dict(), "plain"))
    theirs.load_state_dict(ours.state_dict())
    return ours.eval(), theirs.eval()


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= NEAR * float(theirs.abs().max())


def test_the_loss_and_its_gradients_are_the_same(nets: tuple[UNet, PlainUNet]) -> None:
    images, t = cases.images("plain", 2, 32), torch.tensor([613, 7])
    noise = cases.normal("plain/noise", images.shape)
    ours, theirs = nets
    loss = loss_at(ours, images, schedule.linear(), t, noise)
    loss.backward()  # type: ignore[no-untyped-call]
    told = plain.training_step(theirs, torch.optim.SGD(theirs.parameters(), lr=0.0), images, t, noise)
    assert told == pytest.approx(float(loss.detach()), rel=1e-5)
    assert_near(gradients(ours), gradients(theirs))


def gradients(net: nn.Module) -> Tensor:
    found = {name: each.grad for name, each in net.named_parameters() if each.grad is not None}
    return torch.cat([found[name].flatten() for name in sorted(found)])


def test_a_reconstruction_is_the_same(nets: tuple[UNet, PlainUNet]) -> None:
    images, settings = cases.images("plain", 2, 32), {"noise_step": 250, "skip": 75, "eta": 1.0}
    ours, theirs = nets
    with torch.no_grad():
        one = reconstruct(
            ours,
            images,
            images,
            schedule.linear(),
            Trajectory(w=3.0, noise_step=250, skip=75, eta=1.0),
            cases.noise_of("plain", images.shape),
        )
        kept = plain.reconstructions(
            theirs, images, w=3.0, **settings, noise=cases.noise_of("plain", images.shape)
        )
    assert len(kept) == 5
    assert_near(one, kept[-1])


def test_maps_are_the_same() -> None:
    extractor = features.empty("resnet18.tv_in1k", (8, 16))
    whole = _resnet18()
    state = cases.weights(whole.state_dict(), "plain")
    whole.load_state_dict(state)
    scaling = {"mean": plain.TO_BACKBONE.mean, "std": plain.TO_BACKBONE.std}
    extractor.load_state_dict(
        {
            **{
                f"model.{key}": each
                for key, each in state.items()
                if f"model.{key}" in extractor.state_dict()
            },
            **{key: torch.tensor(each)[:, None, None] for key, each in scaling.items()},
        }
    )
    shown, rebuilt = cases.images("shown", 3, 64), cases.images("rebuilt", 3, 64)
    with torch.no_grad():
        ours = pixel_distance(shown, rebuilt), feature_distance(extractor, shown, rebuilt, (8, 16))
        theirs = (
            plain.pixel_distance(shown, rebuilt),
            plain.feature_distance(plain.Backbone(whole), shown, rebuilt),
        )
    for mine, other in zip(ours, theirs, strict=True):
        assert_near(mine, other)
    _, maps = published_maps(*ours, 1.5 * batch_weight(*ours), 2.0)
    assert_near(maps, plain.anomaly_maps(*theirs, v=1.5, sigma=2.0) * (maps > 0))


def _resnet18() -> nn.Module:
    from torchvision.models import resnet18

    network: nn.Module = resnet18().eval()
    return network


def test_pictures_and_the_overlap_by_region_are_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    picture, mask = plain.Files([tmp_path / "a.png"], [None], 32)[0]
    assert torch.allclose(
        picture, normalised(torch.from_numpy(decoding.picture(tmp_path / "a.png", 32))), atol=1e-6
    )
    assert not mask.any()
    maps, masks = random.random((4, 16, 16), dtype=np.float32), np.zeros((4, 16, 16), np.float32)
    masks[0, 2:5, 2:5] = masks[0, 9:12, 9:15] = masks[2, 5:9, 1:4] = 1.0
    maps += masks * 0.3
    assert plain.overlap_by_region(maps, masks) == pytest.approx(
        pro_compat((maps - maps.min()) / (maps.max() - maps.min()), masks), rel=1e-5
    )
