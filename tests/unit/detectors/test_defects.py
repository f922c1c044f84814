"""Planted defects are exact, visible, on the object, and a matter of the seed and the pixels alone."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ad_detectors.data.defects import EVERY_KIND, KINDS, blending, noise, planting, spoil
from ad_detectors.data.defects.ahead import spoiled_batches
from ad_detectors.errors import ConfigError

Fill = Callable[[int, int, torch.Generator], Tensor]


def grainy(height: int, width: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=random)


def flat(height: int, width: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (3, 1, 1), dtype=torch.uint8, generator=random).expand(3, height, width)


def sloped(height: int, width: int, random: torch.Generator) -> Tensor:
    slope = torch.linspace(20, 230, height)[:, None] + torch.zeros(width)
    return torch.stack([slope, slope.flip(0), slope / 2]).to(torch.uint8)


def disc(height: int, width: int, random: torch.Generator) -> Tensor:
    y = torch.linspace(-1, 1, height)[:, None] - 0.2 * torch.rand(1, generator=random)
    x = torch.linspace(-1, 1, width)[None, :]
    picture = torch.where((y**2 + x**2).sqrt() < 0.6, 80 + 30 * torch.sin(9 * x + 7 * y), 225.0)
    noisy = picture + 4 * torch.randn(3, height, width, generator=random)
    return noisy.clamp(0, 255).to(torch.uint8)


def grey(fill: Fill) -> Fill:
    def made(height: int, width: int, random: torch.Generator) -> Tensor:
        return fill(height, width, random)[:1].expand(3, height, width)

    return made


FILLS: list[Fill] = [grainy, flat, sloped, disc, grey(disc), grey(grainy), grey(flat)]


def images(count: int, fill: Fill = disc, height: int = 48, width: int = 48, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.stack([fill(height, width, random) for _ in range(count)])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(FILLS),
    st.integers(16, 70),
    st.integers(16, 70),
    st.sampled_from(EVERY_KIND),
    st.integers(0, 2**63 - 1),
)
def test_a_mask_marks_exactly_the_pixels_that_changed_and_they_can_be_seen(
    fill: Fill, height: int, width: int, kind: str, seed: int
) -> None:
    clean = images(2, fill, height, width, seed % 1000)
    before = clean.clone()
    spoiled = spoil(clean, seed, [kind])
    assert (spoiled.images.dtype, spoiled.images.shape) == (torch.uint8, clean.shape)
    assert (spoiled.masks.dtype, tuple(spoiled.masks.shape)) == (torch.bool, (2, height, width))
    assert spoiled.kinds == (kind, kind)
    assert torch.equal(clean, before), "the clean images were written to"
    assert torch.equal(spoiled.masks, (spoiled.images != clean).any(1))
    change = (spoiled.images.int() - clean.int()).abs().float().mean(1)
    for mask, moved in zip(spoiled.masks, change, strict=True):
        assert moved[mask].mean() >= planting.SEEN_ALL_OVER
        assert mask.sum() >= 1
    if torch.equal(clean[:, :1].expand(-1, 3, -1, -1), clean):
        assert torch.equal(spoiled.images[:, :1].expand(-1, 3, -1, -1), spoiled.images), "no longer grey"


def test_a_defect_is_the_same_alone_permuted_and_among_others() -> None:
    clean = torch.cat([images(9), images(4, grey(disc), seed=1), images(2, flat, seed=2)])
    together = spoil(clean, 5)
    order = torch.randperm(len(clean), generator=torch.Generator().manual_seed(1))
    torch.manual_seed(123)
    permuted = spoil(clean[order], 5)
    assert torch.equal(permuted.images, together.images[order])
    assert torch.equal(permuted.masks, together.masks[order])
    assert permuted.kinds == tuple(together.kinds[index] for index in order.tolist())
    for index, image in enumerate(clean):
        alone = spoil(image[None], 5)
        assert torch.equal(alone.images[0], together.images[index])
        assert torch.equal(alone.masks[0], together.masks[index])
    assert set(together.kinds) == set(KINDS)


def test_a_defect_depends_on_the_kind_it_got_and_not_on_those_it_might_have_got() -> None:
    clean = images(6)
    mixed = spoil(clean, 5)
    for index, kind in enumerate(mixed.kinds):
        assert torch.equal(spoil(clean[index : index + 1], 5, [kind]).images[0], mixed.images[index])


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_other_seeds_and_other_pixels_give_other_defects(kind: str) -> None:
    one = images(1)
    masks = torch.cat([spoil(one, seed, [kind]).masks for seed in range(8)])
    assert len(torch.unique(masks.flatten(1), dim=0)) == 8
    nudged = one.clone()
    nudged[0, 0, 0, 0] ^= 1
    assert not torch.equal(spoil(nudged, 0, [kind]).masks, masks[:1])


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_defect_lies_on_an_object_that_stands_out_from_a_plain_border(kind: str) -> None:
    clean = images(24, disc, 64, 64)
    spoiled = spoil(clean, 2, [kind])
    dark = clean.float().mean(1) < 180
    share = (spoiled.masks & dark).sum((1, 2)) / spoiled.masks.sum((1, 2))
    assert share.mean() > 0.6
    assert share.min() > 0.1


def test_areas_are_those_that_were_published() -> None:
    texture = images(40, grainy, 96, 96)
    whole = 96 * 96
    patches = spoil(texture, 0, ["cutpaste"]).masks.sum((1, 2)) / whole
    assert patches.max() <= 0.17
    assert patches.median() > 0.02
    scars = spoil(texture, 0, ["scar"]).masks.sum((1, 2))
    assert scars.max() <= (16 * 96 / 256 + 2) * (25 * 96 / 256 + 2)
    blobs = spoil(texture, 0, ["perlin"]).masks.sum((1, 2)) / whole
    assert blobs.max() <= 0.13
    assert blobs.max() > 5 * blobs.min()


def test_what_cannot_be_spoiled_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="no kind of defect named 'scarr'; did you mean scar"):
        spoil(images(1), 0, ["scarr"])
    with pytest.raises(ConfigError, match="name at least one kind of defect: perlin, cutpaste, scar, blend"):
        spoil(images(1), 0, [])
    with pytest.raises(ValueError, match="images of 15 x 20 are too small; a defect needs 16 pixels"):
        spoil(images(1, grainy, 15, 20), 0)
    with pytest.raises(ValueError, match="images are uint8"):
        spoil(images(1).float(), 0)
    assert len(spoil(images(1)[:0], 0).images) == 0


def brute_force(gradients: np.ndarray, y: float, x: float) -> float:
    """Perlin noise at one point, by the book."""

    def fade(t: float) -> float:
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            dy, dx = gradients[:, row % noise.PERIOD * noise.PERIOD + column % noise.PERIOD]
            weight = (1 - fade(abs(y - row))) * (1 - fade(abs(x - column)))
            total += weight * (dy * (y - row) + dx * (x - column))
    return math.sqrt(2) * total


def test_noise_is_that_of_a_plain_computation_at_any_coordinates() -> None:
    gradients = noise.lattice(np.random.default_rng(0), 3)
    random = np.random.default_rng(1)
    y, x = random.uniform(0, 2 * noise.PERIOD, (2, 9, 11)).astype(np.float32)
    found = noise.perlin(gradients, y, x)
    assert found.shape == (3, 9, 11)
    for index in np.ndindex(found.shape):
        expected = brute_force(gradients[index[0]], float(y[index[1:]]), float(x[index[1:]]))
        assert found[index] == pytest.approx(expected, abs=2e-5)
    assert np.abs(noise.perlin(gradients, np.floor(y), np.floor(x))).max() == 0
    assert np.abs(found).max() <= 1


def test_large_noise_is_small_noise_with_straight_lines_between() -> None:
    fine = noise.clouds(np.random.default_rng(3), 256, 192, (6.0, 6.0))
    coarse = noise.clouds(np.random.default_rng(3), 128, 96, (6.0, 6.0))
    assert (fine.shape, coarse.shape) == ((256, 192), (128, 96))
    middles = fine.reshape(128, 2, 96, 2).mean((1, 3))
    assert np.abs(middles - coarse)[1:-1, 1:-1].max() < 0.02
    assert fine.std() > 0.1


def test_a_blended_piece_has_no_seam() -> None:
    """Beside its edge a grown piece changes as little from pixel to pixel as a pasted one jumps."""
    clean = images(12, disc, 64, 64, seed=4)

    def jump(kind: str) -> float:
        spoiled = spoil(clean, 3, [kind])
        change = (spoiled.images.int() - clean.int()).abs().float().mean(1)
        eroded = torch.nn.functional.max_pool2d(1.0 - spoiled.masks[:, None].float(), 3, 1, 1)[:, 0] < 0.5
        edge, inner = change[spoiled.masks & ~eroded].mean(), change[eroded].mean()
        return float(edge / inner)

    assert jump("blend") < 0.75 * jump("cutpaste")


def test_blending_solves_poissons_equation() -> None:
    random = np.random.default_rng(0)
    picture = random.uniform(0, 255, (2, 9, 12)).astype(np.float32)
    inner = picture[:, 1:-1, 1:-1]
    around = picture[:, :-2, 1:-1] + picture[:, 2:, 1:-1] + picture[:, 1:-1, :-2] + picture[:, 1:-1, 2:]
    framed = picture.copy()
    framed[:, 1:-1, 1:-1] = 0
    np.testing.assert_allclose(blending._grown(framed, around - 4 * inner), picture, atol=1e-2)


def test_defects_made_ahead_in_processes_are_those_made_at_once() -> None:
    steps = [(step, images(3, disc, 32, 32, seed=step)) for step in range(4)]
    alone = list(spoiled_batches(steps, 7, EVERY_KIND))
    ahead = spoiled_batches([*steps, (4, images(1).float())], 7, EVERY_KIND, workers=1)
    for (step, batch, spoiled), (number, same, other) in zip(alone, ahead, strict=False):
        assert step == number
        assert torch.equal(batch, same)
        assert torch.equal(spoiled.images, other.images)
        assert torch.equal(spoiled.masks, other.masks)
        assert spoiled.kinds == other.kinds
    with pytest.raises(ValueError, match="images are uint8"):  # where the bad batch would come
        list(ahead)


def test_an_image_has_other_defects_at_each_step() -> None:
    one = images(3, disc, 32, 32)
    first, again = (spoiled for _, _, spoiled in spoiled_batches([(0, one), (1, one)], 7))
    assert not torch.equal(first.images, again.images)
