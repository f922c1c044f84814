"""Networks and processes compute what published code does, to five digits: against `record_diffusion.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import ddad_parity_cases as drawing
import diffusion_parity_cases as cases
from ad_detectors.diffusion import samplers, schedule
from ad_detectors.diffusion.chains import Sampling, denoise, encode
from ad_detectors.diffusion.simplex import fields
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import UNetShape, empty_unet

PRECISION = 1e-5  # of the greatest of the values that are compared
# At the first steps the noise is the difference of all but equal numbers, divided by a hundredth.
ROUNDED = 1e-4
PROCESS = schedule.linear(dtype=torch.float64)


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor, within: float = PRECISION) -> None:
    theirs, found = recorded[name], drawing.summary(ours)
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= within, f"{name} differs by {apart:.2g} of its greatest value"


@pytest.mark.parametrize("name", [*cases.ANODDPM, *cases.GUIDED])
def test_a_network_computes_as_published_from_a_file_of_its_family(
    recorded: dict[str, np.ndarray], name: str
) -> None:
    shape: UNetShape = (cases.ANODDPM | cases.GUIDED)[name]
    tensors = drawing.weights(empty_unet(shape).state_dict(), name)
    published = unet_keys.renamed(tensors, "anoddpm" if name in cases.ANODDPM else "guided")
    net, count, size = unet_keys.load(published, shape), cases.images_of(shape), shape.image_size
    x = drawing.normal(f"{name}/x", (count, shape.in_channels, size, size))
    with torch.no_grad():
        assert_near(recorded, name, net(x, torch.tensor(cases.TIMES[:count])))


def test_schedules_of_another_length_are_as_published(recorded: dict[str, np.ndarray]) -> None:
    steps = cases.OTHER_STEPS
    assert_near(recorded, f"linear-{steps}", schedule.rescaled_linear(steps).abar)
    assert_near(recorded, f"cosine-{steps}", schedule.cosine(steps).abar)


@pytest.mark.parametrize("t", cases.STEPS)
def test_a_step_of_anoddpm_is_as_published(recorded: dict[str, np.ndarray], t: int) -> None:
    x, noise = (drawing.normal(f"step-{t}/{what}", (1, 1, 8, 8)) for what in ("x", "noise"))
    here, before = torch.tensor([t]), torch.tensor([t - 1])
    abar, following = PROCESS.of(here), PROCESS.of(before)
    clean = samplers.clean_estimate(x, x.sin(), abar)
    assert_near(recorded, f"anoddpm-step-{t}", samplers.ancestral(x, clean, abar, following, noise))
    assert_near(recorded, f"anoddpm-noised-{t}", samplers.noised(x, noise, abar))


@pytest.mark.parametrize("t", cases.STEPS)
def test_a_step_of_guided_diffusion_is_as_published(recorded: dict[str, np.ndarray], t: int) -> None:
    x, noise = (drawing.normal(f"step-{t}/{what}", (1, 3, 8, 8)) for what in ("x", "noise"))

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x.sin(), x.cos()], dim=1)

    def once(sampling: Sampling) -> Tensor:
        """Go one step down from t; the step after that is left out."""
        seen: list[Tensor] = []

        def twice(x: Tensor, at: Tensor) -> Tensor:
            seen.append(x)
            return model(x, at)

        last = denoise(twice, x, [[t, t - 1] if t else [0]], sampling, lambda steps: noise)
        return seen[1] if t else last

    ddpm = Sampling(schedule=PROCESS, learned_variance=True)
    assert_near(recorded, f"guided-ddpm-{t}", once(ddpm))
    ddim = Sampling(schedule=PROCESS, sampler="ddim", eta=0.7)
    within = ROUNDED if t < 2 else PRECISION
    assert_near(recorded, f"guided-ddim-{t}", once(ddim), within)
    assert_near(recorded, f"guided-encoded-{t}", encode(model, x, [t, t + 1], ddim), within)


@pytest.mark.parametrize("t", cases.SIMPLEX_TIMES)
def test_simplex_noise_is_as_published(recorded: dict[str, np.ndarray], t: int) -> None:
    size = cases.SIMPLEX_SIZE
    for seed, field in zip(cases.SIMPLEX_SEEDS, fields(cases.SIMPLEX_SEEDS, (size, size), t), strict=True):
        theirs, ours = recorded[f"simplex-{seed}-{t}"], drawing.summary(field)
        assert np.abs(ours - theirs).max() <= 1e-6


def test_simplex_noise_varies_as_published(recorded: dict[str, np.ndarray]) -> None:
    stds = fields(cases.SIMPLEX_FIELDS, (256, 256), 249).double().std((1, 2), correction=0)
    np.testing.assert_allclose(stds.numpy(), recorded["simplex-std"][1:], rtol=1e-5)
    assert float(stds.mean()) == pytest.approx(0.50, abs=0.03)
