"""Restoring at once, the error at several scales, and the mean of normal errors."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.diffusion import samplers
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.maps import image_scores
from ad_detectors.testing.pictures import MemoryImages, pictures
from ad_detectors.zoo.advrad import restoring
from ad_detectors.zoo.advrad.config import PRESETS, Config
from ad_detectors.zoo.advrad.detector import AdvRAD

SIDE = 32


def config(**settings: Any) -> Config:
    built = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(built, Config)
    return built


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4)) * 2 - 1


@pytest.mark.parametrize("settings", [{}, {"shots": 5}, {"shots": 75}, {"scales": [1, 16], "repeats": 1}])
def test_a_network_that_names_the_noise_restores_an_image_without_an_error(settings: dict[str, Any]) -> None:
    chosen, clean = config(**settings), images()
    schedule, calls = restoring.schedule_of(chosen), []
    noise = torch.randn(3, chosen.repeats, 3, SIDE, SIDE)

    def knows(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t[0])
        again = clean.repeat_interleave(chosen.repeats, dim=0)
        return samplers.noise_estimate(x, again, schedule.of(t))

    error, rebuilt = restoring.errors(knows, clean, noise, chosen)
    assert len(calls) == chosen.shots
    assert int(calls[0]) == chosen.noise_step - 1, "noised to one step and asked at another"
    torch.testing.assert_close(rebuilt, clean, atol=1e-3, rtol=0)
    assert float(error.max()) < 1e-5


def test_an_error_is_as_strong_at_every_scale_where_it_is_flat_and_weaker_where_it_is_small() -> None:
    clean = torch.zeros(1, 3, SIDE, SIDE)
    flat = torch.full_like(clean, 0.5)
    found = restoring.multiscale(clean, flat, (1, 2, 4, 8))
    torch.testing.assert_close(found, torch.full((1, SIDE, SIDE), 0.25))
    fine = torch.zeros_like(clean)
    fine[..., ::2] = 1.0  # stripes of a pixel: half as bright, at any smaller scale
    torch.testing.assert_close(restoring.multiscale(clean, fine, (2,)), torch.full((1, SIDE, SIDE), 0.25))
    torch.testing.assert_close(restoring.multiscale(clean, fine, (1,))[0, 0, :2], torch.tensor([1.0, 0.0]))


def test_the_filter_is_a_mean_and_not_a_sum() -> None:
    clean, found = torch.zeros(1, 3, SIDE, SIDE), torch.full((1, 3, SIDE, SIDE), 0.5)
    for side in (1, 3, 7):
        error = restoring.error_map(clean, found, config(mean_filter=side))
        torch.testing.assert_close(error, torch.full((1, SIDE, SIDE), 0.25))


def test_half_of_the_images_are_mirrored_for_training_and_their_noise_is_not() -> None:
    task, clean = restoring.NamingNoise(config(flip=True), 3), images(64)
    t, noise, mirrored = task.drawn(clean, 2)
    assert all(torch.equal(a, b) for a, b in zip((t, noise, mirrored), task.drawn(clean, 2), strict=True))
    assert 20 < int(mirrored.sum()) < 44

    def knows(x: Tensor, t: Tensor) -> Tensor:
        shown = torch.where(mirrored[:, None, None, None], clean.flip(3), clean)
        return samplers.noise_estimate(x, shown, task.schedule.of(t))

    assert float(task.losses(knows, clean, t, noise, mirrored).max()) < 1e-3
    assert not bool(restoring.NamingNoise(config(), 3).drawn(clean, 2)[2].any())


@pytest.fixture(scope="module")
def fitted() -> AdvRAD:
    detector = AdvRAD(config(steps=4))
    run_fit(detector, MemoryImages(pictures(20, SIDE)), ContextCore(detector, torch.device("cpu"), 3))
    return detector


def test_an_image_with_the_mean_error_of_normal_ones_has_no_score(fitted: AdvRAD) -> None:
    mean = fitted.state()["normal/mean"]
    assert isinstance(mean, Tensor)
    kind = fitted.config.image_score
    assert float(image_scores(fitted._unusual(mean[None]), kind)) == 0.0
    assert float(image_scores(fitted._unusual(mean[None] - 0.25), kind)) == pytest.approx(0.25)
    assert float(image_scores(fitted._unusual(mean[None] + 0.25), kind)) == pytest.approx(0.25)


def test_the_mean_error_is_that_of_all_images_each_with_its_own_noise(fitted: AdvRAD) -> None:
    seed = fitted.state()["score/seed"]
    assert isinstance(seed, int)
    with torch.no_grad():
        each = torch.cat([fitted._errors(image[None], seed)[0] for image in pictures(20, SIDE)])
    mean = fitted.state()["normal/mean"]
    assert isinstance(mean, Tensor)
    torch.testing.assert_close(each.mean(0), mean)


def test_a_mean_of_another_size_is_refused(fitted: AdvRAD) -> None:
    other = {**fitted.state(), "normal/mean": torch.zeros(16, 16)}
    with pytest.raises(StateError, match="the mean error of this state is not 32 x 32"):
        AdvRAD(config()).restore(other)


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="shots = 80 must be at most noise_step = 75"):
        config(shots=80)
    with pytest.raises(ConfigError, match="the denoiser learns nothing beyond"):
        config(noise_step=101)
