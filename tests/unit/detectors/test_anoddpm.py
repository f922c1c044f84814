"""The noise and the losses of AnoDDPM, and what its training promises beyond the contract."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.diffusion import learning, samplers
from ad_detectors.diffusion.noises import drawn_for
from ad_detectors.diffusion.simplex import Octaves, fields
from ad_detectors.diffusion.simplex.pool import SimplexPool
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.nets.unet import UNetShape
from ad_detectors.zoo.anoddpm.config import PRESETS, Config
from ad_detectors.zoo.anoddpm.noising import DenoisingTask, schedule_of

SHAPE = (3, 16, 16)
TINY = UNetShape(image_size=32, base_channels=32, multipliers=(1,), residual_blocks=1, attention_divisors=())


def config(**settings: Any) -> Config:
    built = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(built, Config)
    return built


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("kind", ["simplex", "gauss", "mixed"])
def test_noise_belongs_to_the_image_whatever_its_batch(kind: str) -> None:
    settings = config()
    together = drawn_for(generators(1, 2, 3, 4), SHAPE, 40, settings, kind)
    assert together.shape == (4, *SHAPE)
    for index, seed in enumerate((1, 2, 3, 4)):
        assert torch.equal(drawn_for(generators(seed), SHAPE, 40, settings, kind)[0], together[index])
    assert not torch.equal(together[0, 0], together[0, 1]), "two colours have one field"


def test_simplex_noise_is_a_field_for_each_colour_and_may_be_standardised() -> None:
    settings = config(octaves=6, wavelength=64.0)
    raw = drawn_for(generators(*range(30)), SHAPE, 249, settings, "simplex")
    scaled = drawn_for(generators(*range(30)), SHAPE, 249, config(octaves=6, standardise=True), "simplex")
    assert float(raw.std()) == pytest.approx(0.5, abs=0.1)
    assert 0.6 < float(scaled.std()) < 1.4
    seeds = torch.randint(-(10**10), 10**10, (3,), generator=generators(0)[0]).tolist()
    assert torch.equal(raw[0], fields(seeds, (16, 16), 249, Octaves()))


def test_a_pool_is_the_same_for_a_seed_and_gives_pieces_of_many_places() -> None:
    octaves = Octaves(count=2, wavelength=8.0)
    pool, again, other = (SimplexPool(seed, 16, octaves, 12) for seed in (1, 1, 2))
    first = pool.drawn((40, 3), generators(5)[0])
    assert first.shape == (40, 3, 16, 16)
    assert torch.equal(again.drawn((40, 3), generators(5)[0]), first)
    assert not torch.equal(other.drawn((40, 3), generators(5)[0]), first)
    assert len(torch.unique(first.flatten(0, 1).flatten(1), dim=0)) > 110
    assert float(first.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(first.std()) == pytest.approx(octaves.deviation, rel=0.25)


@pytest.mark.parametrize("pool", [0, 8])
@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_a_network_that_names_the_noise_has_no_loss(pool: int, loss: str) -> None:
    task = DenoisingTask(config(image_size=32, noise_pool=pool, loss=loss), 3)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    drawn = task.drawn(images, 7)

    def knows(x: Tensor, t: Tensor) -> Tensor:
        return samplers.noise_estimate(x, images, schedule_of(task.config).of(t))

    assert task.losses(knows, images, *drawn).max() < 1e-2
    expected = drawn[1].abs() if loss == "l1" else drawn[1].square()
    nothing = task.losses(lambda x, t: torch.zeros_like(x), images, *drawn)
    torch.testing.assert_close(nothing, expected.mean((1, 2, 3)))
    assert all(torch.equal(a, b) for a, b in zip(drawn, task.drawn(images, 7), strict=True))
    assert not torch.equal(drawn[1], task.drawn(images, 8)[1])


def test_low_levels_drawn_more_often_weigh_less_so_that_the_mean_stays() -> None:
    task = DenoisingTask(config(level_weight="proportional", noise="gauss", noise_levels=100), 3)
    t, _, weights = task.drawn(torch.zeros(20_000, 1, 1, 1), 0)
    assert float((t < 50).float().mean()) == pytest.approx(0.75, abs=0.02)
    assert float(weights.mean()) == pytest.approx(1.0, abs=0.05)
    assert float((weights * t).mean()) == pytest.approx(49.5, rel=0.05)
    assert weights[t == 90].mean() > weights[t == 10].mean()


def test_what_the_denoiser_never_learnt_is_not_asked_of_it() -> None:
    with pytest.raises(ConfigError, match="noise_step = 300 must be at most noise_levels = 200"):
        config(noise_levels=200, noise_step=300)
    with pytest.raises(ConfigError, match="heads = 3 must divide base_channels = 32"):
        config(heads=3)


def test_a_state_without_its_mean_or_of_another_network_is_refused() -> None:
    learner = learning.fresh(TINY, 1)
    state = {**learner.state()}
    state.pop("net/out.2.bias")
    with pytest.raises(StateError, match=r"not of mine with this config: .*out\.2\.bias"):
        learning.restored(TINY, state, "mine")
