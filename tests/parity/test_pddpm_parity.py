"""Patched DDPM computes what its published code does, to five digits: against `record_pddpm.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ddad_parity_cases as drawing
import pddpm_parity_cases as cases
from ad_detectors.config import build
from ad_detectors.nets.unet import empty_unet
from ad_detectors.zoo.pddpm import patches
from ad_detectors.zoo.pddpm.config import Config
from ad_detectors.zoo.pddpm.detector import shape_of
from ad_detectors.zoo.pddpm.restoring import RestoringTask, restored

PRECISION = 1e-5  # of the greatest of the values that are compared


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor) -> None:
    theirs, found = recorded[name], drawing.summary(ours)
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= PRECISION, f"{name} differs by {apart:.2g} of its greatest value"


def answer(x: Tensor, t: Tensor) -> Tensor:
    """Stand where the network does: of every place and its surroundings something else."""
    return x.sin() + x.mean(dim=(1, 2, 3), keepdim=True) * t.float()[:, None, None, None] / 1000


def config(**settings: Any) -> Config:
    built = build(Config, settings)  # the defaults are the published ones
    assert isinstance(built, Config)
    return built


def drawn() -> tuple[Tensor, Tensor]:
    shape = (cases.SLICES, 1, cases.SIDE, cases.SIDE)
    images, noise = drawing.normal("pddpm/images", shape).sigmoid(), drawing.normal("pddpm/noise", shape)
    return images * 2.0 - 1.0, noise


def test_the_network_computes_as_published(recorded: dict[str, np.ndarray]) -> None:
    from ad_detectors.nets.unet import UNet

    net = UNet(cases.SHAPE)
    net.load_state_dict(drawing.weights(empty_unet(cases.SHAPE).state_dict(), "pddpm"))
    x = drawing.normal("pddpm/x", (len(cases.TIMES), 1, cases.SIDE, cases.SIDE))
    with torch.no_grad():
        assert_near(recorded, "network", net.eval()(x, torch.tensor(cases.TIMES)))


def test_the_published_network_in_colour_has_the_tensors_of_the_defaults() -> None:
    numbers = sum(each.numel() for each in empty_unet(shape_of(config())).parameters())
    assert numbers == 37_513_857 + 4 * 9 * 128 + 2, "two colours more at either end"


def test_patches_lie_as_published(recorded: dict[str, np.ndarray]) -> None:
    ours = torch.tensor(patches.grid(cases.SIDE, cases.PATCH, cases.PATCH), dtype=torch.float32)
    assert_near(recorded, "boxes", ours[:, [1, 0, 3, 2]])  # theirs begin with the column


@pytest.mark.parametrize("loss", ["l1", "l2"])
@pytest.mark.parametrize("t", cases.STEPS)
def test_a_loss_is_as_published(recorded: dict[str, np.ndarray], loss: str, t: int) -> None:
    images, noise = drawn()
    count = len(images)
    box = torch.tensor([patches.grid(cases.SIDE, cases.PATCH, cases.PATCH)[2]] * count)
    losses = RestoringTask(config(loss=loss, noise="gauss"), 0).losses(
        answer, images, torch.full((count,), t), noise, box
    )
    assert_near(recorded, f"loss-{loss}-{t}", losses.mean()[None])


@pytest.mark.parametrize(("theirs", "joining"), [("plain", "cut"), ("cut", "cut"), ("avg", "average")])
def test_restored_patches_are_joined_as_published(
    recorded: dict[str, np.ndarray], theirs: str, joining: str
) -> None:
    images, noise = drawn()
    found = restored(answer, images, noise, config(joining=joining))
    assert_near(recorded, f"stitched-{theirs}", (found + 1.0) / 2.0)
