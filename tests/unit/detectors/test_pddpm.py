"""Patches that are noised and restored: where they lie, how they are joined, and what the loss sees."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.diffusion.noises import drawn_for
from ad_detectors.errors import ConfigError
from ad_detectors.zoo.pddpm import patches
from ad_detectors.zoo.pddpm.config import PRESETS, Config
from ad_detectors.zoo.pddpm.restoring import RestoringTask, partly_noised, restored, schedule_of

SIDE = 32
SIZES = [(32, 16, 16), (32, 8, 8), (30, 16, 16), (32, 16, 8), (31, 9, 4), (32, 32, 32), (17, 16, 1)]


def config(**settings: Any) -> Config:
    built = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(built, Config)
    return built


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4)) * 2 - 1


def covered(boxes: list[patches.Box], side: int) -> Tensor:
    return patches.inside(torch.tensor(boxes), side, side).sum(dim=0)[0]


@pytest.mark.parametrize(("side", "patch", "stride"), SIZES)
def test_whole_patches_cover_an_image_and_their_cuts_tile_it(side: int, patch: int, stride: int) -> None:
    whole, cuts = patches.grid(side, patch, stride), patches.cut(side, patch, stride)
    assert all((box.bottom - box.top, box.right - box.left) == (patch, patch) for box in whole)
    assert int(covered(whole, side).min()) >= 1
    assert torch.equal(covered(cuts, side), torch.ones(side, side, dtype=torch.int64))
    for box, part in zip(whole, cuts, strict=True):
        assert box.top <= part.top < part.bottom <= box.bottom
        assert box.left <= part.left < part.right <= box.right
    if stride == patch and side % patch == 0:
        assert whole == cuts


def test_a_cut_takes_the_patch_whose_centre_is_nearest() -> None:
    (first, second), side = (patches.cut(24, 16, 8)[index] for index in (0, 1)), 24
    assert (first.left, first.right, second.left, second.right) == (0, 12, 12, side)


def test_pixels_outside_of_the_patch_are_the_images_own() -> None:
    clean, task = images(), RestoringTask(config(), 3)
    t, noise, boxes = task.drawn(clean, 5)
    within = patches.inside(boxes, SIDE, SIDE)
    shown = partly_noised(clean, noise, task.schedule.of(t), within)
    outside = ~within.expand_as(clean)
    assert torch.equal(shown[outside], clean[outside])
    abar = task.schedule.of(t).float()[:, None, None, None]
    noised = abar.sqrt() * clean + (1 - abar).sqrt() * noise
    torch.testing.assert_close(shown[~outside], noised[~outside])


@pytest.mark.parametrize("settings", [{}, {"noise_pool": 0}, {"boxes": "random"}, {"noise": "mixed"}])
def test_what_is_drawn_depends_on_seed_and_step_and_lies_within_the_image(settings: dict[str, Any]) -> None:
    task, batch = RestoringTask(config(**settings), 3), torch.zeros(200, 3, SIDE, SIDE)
    drawn = task.drawn(batch, 7)
    assert all(torch.equal(a, b) for a, b in zip(drawn, task.drawn(batch, 7), strict=True))
    assert not torch.equal(drawn[1], task.drawn(batch, 8)[1])
    t, noise, boxes = drawn
    assert 0 <= int(t.min()) < int(t.max()) < 300
    assert not torch.equal(noise[0], noise[1]), "two images of a batch have one noise"
    assert torch.equal(boxes[:, 2:] - boxes[:, :2], torch.full((200, 2), 16))
    assert (int(boxes.min()), int(boxes.max())) == (0, SIDE)
    corners = {tuple(each) for each in boxes[:, :2].tolist()}
    assert len(corners) > 100 if settings.get("boxes") == "random" else len(corners) == 4


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_loss_is_that_of_the_patch_alone(loss: str) -> None:
    task, clean = RestoringTask(config(loss=loss), 3), images()
    drawn = task.drawn(clean, 1)
    within = patches.inside(drawn[2], SIDE, SIDE)

    def wrong_by(inside: float, outside: float) -> Tensor:
        return task.losses(lambda x, t: clean + torch.where(within, inside, outside), clean, *drawn)

    assert float(wrong_by(0.0, 9.0).abs().max()) == 0.0
    off = 0.5 if loss == "l1" else 0.25
    torch.testing.assert_close(wrong_by(0.5, 9.0), torch.full((3,), off / 4))  # a quarter of the pixels


@pytest.mark.parametrize("stride", [None, 8, 5])
@pytest.mark.parametrize("joining", ["cut", "average"])
def test_a_network_that_knows_the_image_restores_it_whole(joining: str, stride: int | None) -> None:
    settings, clean = config(joining=joining, stride=stride), images()
    places = len(patches.grid(SIDE, 16, stride or 16))

    def knows(x: Tensor, t: Tensor) -> Tensor:
        return clean.repeat(len(x) // len(clean), 1, 1, 1)

    assert len(knows(torch.zeros(places * 3), torch.zeros(0))) == places * 3
    torch.testing.assert_close(restored(knows, clean, torch.randn(clean.shape), settings), clean)


def seen(x: Tensor, t: Tensor) -> Tensor:
    """Answer with something of its own for every image and place, and of its surroundings."""
    return x.sin() + x.mean(dim=(1, 2, 3), keepdim=True) * t.float()[:, None, None, None] / 100


def test_joining_by_cut_and_by_mean_agree_where_nothing_overlaps() -> None:
    clean = images()
    noise = torch.randn(clean.shape)
    cut, mean = (restored(seen, clean, noise, config(joining=each)) for each in ("cut", "average"))
    assert torch.equal(cut, mean)
    cut, mean = (restored(seen, clean, noise, config(joining=each, stride=8)) for each in ("cut", "average"))
    assert not torch.equal(cut, mean)


@pytest.mark.parametrize("stride", [16, 4])
def test_patches_in_one_batch_are_as_patches_one_by_one(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, settings = images(), config(stride=stride)
    noise = torch.randn(clean.shape)
    together = restored(seen, clean, noise, settings)
    abar = schedule_of(settings).of(torch.full((3,), settings.noise_step - 1))
    t = torch.full((3,), settings.noise_step - 1)
    for box, part in zip(patches.grid(SIDE, 16, stride), patches.cut(SIDE, 16, stride), strict=True):
        within = patches.inside(torch.tensor([box] * 3), SIDE, SIDE)
        alone = seen(partly_noised(clean, noise, abar, within), t)
        place = (..., slice(part.top, part.bottom), slice(part.left, part.right))
        torch.testing.assert_close(alone[place], together[place])


def test_the_published_schedule_leaves_half_of_the_signal_in_the_middle() -> None:
    paper = build(Config, {})
    assert schedule_of(paper).at(paper.noise_step - 1) == pytest.approx(0.49, abs=0.01)
    linear = build(Config, {"schedule": "linear"})
    assert schedule_of(linear).at(paper.noise_step - 1) == pytest.approx(0.08, abs=0.005)


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="patch_size = 48 must be at most image_size = 32"):
        config(patch_size=48)
    with pytest.raises(ConfigError, match="stride = 17 must be at most patch_size = 16: there would be gaps"):
        config(stride=17)
    with pytest.raises(ConfigError, match="the denoiser learns nothing beyond"):
        config(noise_step=301)


def test_noise_is_an_images_own_in_any_batch() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2, 1)]
    first, second, again = drawn_for(generators, (3, SIDE, SIDE), 299, config(), "simplex")
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
