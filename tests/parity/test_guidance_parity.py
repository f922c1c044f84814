"""Networks that know classes, and guided steps, compute what published code does: `record_guidance.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ddad_parity_cases as drawing
import guidance_parity_cases as cases
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.chains import Sampling, denoise, encode
from ad_detectors.diffusion.guidance import gradients, guided
from ad_detectors.nets.unet import UNet, empty_unet
from ad_detectors.nets.unet_classifier import UNetClassifier

PRECISION = 1e-5  # of the greatest of the values that are compared
PROCESS = schedule.linear(dtype=torch.float64)
NORMAL = torch.zeros(2, dtype=torch.int64)


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


@pytest.fixture(scope="module")
def denoiser() -> UNet:
    net = UNet(cases.DENOISER)
    net.load_state_dict(drawing.weights(empty_unet(cases.DENOISER).state_dict(), "denoiser"))
    return net.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def classifier() -> UNetClassifier:
    net = UNetClassifier(cases.CLASSIFIER)
    net.load_state_dict(drawing.weights(net.state_dict(), "classifier"))
    return net.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    size = cases.DENOISER.image_size
    return drawing.normal("guidance/x", (2, 3, size, size))


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor) -> None:
    theirs, found = recorded[name], drawing.summary(ours)
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= PRECISION, f"{name} differs by {apart:.2g} of its greatest value"


def test_networks_that_know_classes_compute_as_published(
    recorded: dict[str, np.ndarray], denoiser: UNet, classifier: UNetClassifier, x: Tensor
) -> None:
    times = torch.tensor(cases.TIMES)
    assert_near(recorded, "denoiser", denoiser(x, times, torch.tensor(cases.CLASSES)))
    assert_near(recorded, "classifier", classifier(x, times))


@pytest.mark.parametrize("t", cases.STEPS)
def test_a_guided_step_and_one_to_more_noise_are_as_published(
    recorded: dict[str, np.ndarray], denoiser: UNet, classifier: UNetClassifier, x: Tensor, t: int
) -> None:
    seen: list[Tensor] = []

    def of_normal(x: Tensor, t: Tensor) -> Tensor:
        seen.append(x)
        return denoiser(x, t, NORMAL)  # type: ignore[no-any-return]

    def gradient(x: Tensor, t: Tensor) -> Tensor:
        return cases.GUIDANCE * gradients(lambda x, t: F.log_softmax(classifier(x, t), dim=1)[:, 0], x, t)

    assert_near(recorded, f"gradient-{t}", gradient(x, torch.full((2,), t)))
    sampling = Sampling(schedule=PROCESS, sampler="ddim", clip=False)
    # The step after the one that is compared is seen, and thrown away.
    denoise(guided(of_normal, gradient, PROCESS), x, [[t, t - 1]] * 2, sampling, torch.zeros_like)
    assert_near(recorded, f"guided-{t}", seen[1])
    assert_near(recorded, f"encoded-{t}", encode(of_normal, x, [t, t + 1], Sampling(schedule=PROCESS)))
