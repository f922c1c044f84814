"""What the diffusion functions promise: the published numbers, the closed form, independence of the batch."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import (
    Trajectory,
    conditioned_estimate,
    drawn_ahead,
    noise_of,
    reconstruct,
    sigma,
)
from ad_detectors.diffusion.training import denoising_loss

PROCESS = schedule.linear()
PUBLISHED = Trajectory(w=3.0, noise_step=250, skip=25, eta=1.0)


@pytest.mark.parametrize(
    ("step", "left"),
    [(25, 0.9910), (50, 0.9700), (100, 0.8951), (200, 0.6564), (225, 0.5887), (250, 0.5214), (999, 4e-5)],
)
def test_the_schedule_keeps_the_published_share_of_the_signal(step: int, left: float) -> None:
    assert schedule.linear().at(step) == pytest.approx(left, abs=6e-5)


def test_before_the_first_step_the_image_is_whole() -> None:
    process = schedule.linear()
    assert process.at(-1) == 1.0
    assert process.at(0) == pytest.approx(1 - 1e-4, abs=1e-7)
    assert process.abar.dtype == torch.float32
    assert len(process.abar) == 1000


def test_the_published_trajectory_calls_the_network_ten_times_and_ends_at_the_clean_image() -> None:
    steps = PUBLISHED.steps()
    assert [step for step, _ in steps] == [225, 200, 175, 150, 125, 100, 75, 50, 25, 0]
    assert [following for _, following in steps] == [200, 175, 150, 125, 100, 75, 50, 25, 0, -1]


def test_fresh_noise_has_the_published_strength() -> None:
    process = schedule.linear()
    strengths = [sigma(process.at(step), process.at(following), 1.0) for step, following in PUBLISHED.steps()]
    published = [0.2935, 0.2722, 0.2492, 0.2240, 0.1960, 0.1642, 0.1267, 0.0798, 0.0099, 0.0]
    assert strengths == pytest.approx(published, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31), w=st.floats(0.0, 20.0), step=st.integers(0, 600), scale=st.floats(0.1, 3.0)
)
def test_the_estimate_moves_by_w_times_the_lost_share_towards_the_target(
    seed: int, w: float, step: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x_t, e, y = (scale * torch.randn(3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    abar = PROCESS.at(step)
    f = (x_t - math.sqrt(1 - abar) * e) / math.sqrt(abar)
    clean, pulled = conditioned_estimate(x_t, e, y, abar, w)
    torch.testing.assert_close(clean, f + w * (1 - abar) * (y - f), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(x_t, math.sqrt(abar) * clean + math.sqrt(1 - abar) * pulled)


def draws(seeds: list[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_a_network_that_knows_the_noise_brings_the_image_back() -> None:
    process = schedule.linear()
    image = torch.rand(2, 3, 8, 8) * 2 - 1

    def knows(x: Tensor, t: Tensor) -> Tensor:
        abar = process.at(int(t[0]))
        return (x - math.sqrt(abar) * image) / math.sqrt(1 - abar)

    noise = noise_of(draws([1, 2]), (3, 8, 8), torch.device("cpu"))
    rebuilt = reconstruct(knows, image, image, process, PUBLISHED, noise)
    torch.testing.assert_close(rebuilt, image, rtol=0, atol=1e-3)


def test_noise_belongs_to_the_image_not_to_its_place_in_the_batch() -> None:
    device = torch.device("cpu")
    together = noise_of(draws([1, 2, 3]), (3, 8, 8), device)
    swapped = noise_of(draws([3, 1, 2]), (3, 8, 8), device)
    for _ in range(3):
        first, second = together(), swapped()
        assert torch.equal(first[[2, 0, 1]], second)


def test_noise_drawn_ahead_in_threads_is_the_same() -> None:
    plainly = noise_of(draws(range(5)), (3, 8, 8), torch.device("cpu"))
    ahead = drawn_ahead(draws(range(5)), (3, 8, 8))
    for _ in range(20):
        assert torch.equal(plainly(), ahead())


def test_without_eta_only_the_start_is_noisy() -> None:
    drawn = []

    def noise() -> Tensor:
        drawn.append(1)
        return torch.zeros(1, 3, 8, 8)

    image = torch.zeros(1, 3, 8, 8)
    still = Trajectory(w=0.0, noise_step=250, skip=25, eta=0.0)
    reconstruct(lambda x, t: torch.zeros_like(x), image, image, schedule.linear(), still, noise)
    assert len(drawn) == 1
    reconstruct(lambda x, t: torch.zeros_like(x), image, image, schedule.linear(), PUBLISHED, noise)
    assert len(drawn) == 1 + 1 + 9  # the last step adds none


def test_the_loss_is_summed_over_an_image_and_averaged_over_images() -> None:
    process = schedule.linear()
    images = torch.zeros(4, 3, 8, 8)

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    loss = denoising_loss(lambda x, t: torch.zeros_like(x), images, process, generator())
    same = generator()
    torch.randint(0, 1000, (4,), generator=same)
    noise = torch.randn(4, 3, 8, 8, generator=same)
    torch.testing.assert_close(loss, noise.square().sum() / 4)


def test_a_network_that_names_the_noise_has_no_loss() -> None:
    process = schedule.linear()
    images = torch.rand(4, 3, 8, 8)

    def knows(x: Tensor, t: Tensor) -> Tensor:
        abar = process.abar[t][:, None, None, None]
        return (x - abar.sqrt() * images) / (1 - abar).sqrt()

    loss = denoising_loss(knows, images, process, torch.Generator().manual_seed(0))
    assert float(loss) < 1e-2


def test_of_fewer_noise_levels_the_lowest_are_drawn() -> None:
    seen: list[Tensor] = []

    def remembers(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return x

    images, generator = torch.zeros(512, 3, 2, 2), torch.Generator().manual_seed(0)
    denoising_loss(remembers, images, schedule.linear(), generator, levels=10)
    assert set(seen[0].tolist()) == set(range(10))
    denoising_loss(remembers, images, schedule.linear(), generator)
    assert 950 < int(seen[1].max()) < 1000
