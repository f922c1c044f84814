"""What DDAD asks of a device, shown on a CPU that is told to be another, and what a real GPU then gives."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from ad_detectors import device
from ad_detectors.config import build
from ad_detectors.diffusion import learning
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.nets.unet import UNet
from ad_detectors.testing import MemoryImages, pictures
from ad_detectors.zoo.ddad import denoiser
from ad_detectors.zoo.ddad.config import PRESETS, Config
from ad_detectors.zoo.ddad.detector import DDAD

CPU = torch.device("cpu")
IMAGES = MemoryImages(pictures(4, 32))
VALUES: dict[str, Any] = {
    **PRESETS["tiny"],
    "steps": 1,
    "backbone": "tf_efficientnet_lite0",
    "feature_strides": [4, 8],
    "adapt_strides": [4, 8],
    "adapt_epochs": None,
    "adapt_steps": 1,
    "adapt_batch_size": 2,
    "adapt_noise_step": 20,
    "adapt_skip": 20,
    "noise_step": 20,
    "skip": 20,
    "scale_images": 2,
}


def fitted(*, autocast: bool, on: torch.device = CPU, **changed: Any) -> DDAD:
    detector = DDAD(build(Config, VALUES | changed))
    run_fit(detector, IMAGES, ContextCore(detector, on, 3, autocast=autocast))
    return detector


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note whether mixed precision was wanted, each time it could have been."""
    wanted: list[bool] = []

    def note(on: torch.device, want: bool, *, on_cpu: bool = False) -> AbstractContextManager[None]:
        assert not on_cpu
        wanted.append(want)
        return nullcontext()

    monkeypatch.setattr(denoiser, "mixed_precision", note)
    monkeypatch.setattr(learning, "mixed_precision", note)
    return wanted


def test_a_fit_in_mixed_precision_has_it_in_training_adaptation_and_scoring_ever_after(
    asked: list[bool],
) -> None:
    detector = fitted(autocast=True)
    assert asked == [True] * 3  # a step of training, one call while adapting, one while scaling
    detector.score(IMAGES.pixels[:1])
    again = DDAD(detector.config)
    again.restore(detector.state())
    again.score(IMAGES.pixels[:1])
    assert asked == [True] * 5


def test_a_fit_in_full_precision_is_scored_in_full_precision_on_any_device(asked: list[bool]) -> None:
    detector = fitted(autocast=False)
    detector.score(IMAGES.pixels[:1])
    assert asked == [False] * 4
    assert detector.state()["score/mixed"] is False


def test_a_state_that_does_not_say_how_it_was_fitted_is_scored_in_full_precision(asked: list[bool]) -> None:
    detector = fitted(autocast=False)
    older = DDAD(detector.config)
    older.restore({key: value for key, value in detector.state().items() if key != "score/mixed"})
    asked.clear()
    older.score(IMAGES.pixels[:1])
    assert asked == [False]


def test_a_cpu_rebuilds_in_bfloat16_only_when_it_is_asked_to_with_much_the_same_scores() -> None:
    detector = fitted(autocast=False, backbone="none", adapt_steps=0, steps=20)
    images = pictures(6, 32, seed=9)
    full = detector.score(images).images
    sooner = DDAD(replace(detector.config, score_bfloat16=True))
    sooner.restore(detector.state())
    near = sooner.score(images).images
    assert not torch.equal(near, full)
    torch.testing.assert_close(near, full, rtol=3e-2, atol=0.0)
    alone = torch.cat([sooner.score(image[None]).images for image in images])
    assert torch.equal(near, alone), "the score of an image depends on its batch"


@pytest.mark.parametrize(
    ("name", "layout"),
    [("cpu", torch.channels_last), ("cuda", torch.contiguous_format), ("mps", torch.contiguous_format)],
)
def test_the_network_lies_as_its_device_computes_fastest(
    monkeypatch: pytest.MonkeyPatch, name: str, layout: torch.memory_format
) -> None:
    detector = fitted(autocast=False, backbone="none", adapt_steps=0)
    asked: list[object] = []
    monkeypatch.setattr(UNet, "to", lambda self, *a, **named: asked.append((*a, *named.values())))
    detector.to(torch.device(name))
    assert asked == [(torch.device(name),), (layout,)]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_scores_do_not_depend_on_the_batch_and_are_near_those_of_the_cpu() -> None:
    detector = fitted(autocast=False)
    images = pictures(5, 32, seed=9)
    on_cpu = detector.score(images).images
    detector.to(torch.device("cuda"))
    together = detector.score(images).images
    alone = torch.cat([detector.score(image[None]).images for image in images])
    assert torch.equal(together, alone)
    torch.testing.assert_close(together, on_cpu, rtol=2e-2, atol=1e-3)


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_fits_in_mixed_precision_and_its_model_scores_on_a_cpu() -> None:
    chosen = device.choose("cuda")
    detector = fitted(autocast=chosen.autocast, on=chosen.device, steps=3)
    images = pictures(3, 32, seed=9)
    there = detector.score(images).images
    here = DDAD(detector.config)
    here.restore(detector.state())
    torch.testing.assert_close(here.score(images).images, there, rtol=1e-1, atol=1e-2)


@pytest.fixture(autouse=True)
def no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADCTL_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, file: None)
