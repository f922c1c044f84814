"""The two halves of an autoencoder of maps, and what is computed of pictures once."""

import pytest
import torch
from torch import Tensor

from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.latents import Numbers, Remembered
from ad_detectors.nets import latents
from ad_detectors.nets.latents import LatentShape
from ad_detectors.testing.pictures import MemoryImages, pictures

SHAPE = LatentShape(image_size=32, base_channels=8, multipliers=(1, 2, 2), residual_blocks=1, channels=3)


def test_pictures_become_maps_of_a_quarter_of_their_side_and_pictures_again() -> None:
    x = torch.rand(2, 3, 32, 32)
    assert SHAPE.side == 8
    z = latents.encoder(SHAPE, 5)(x)
    assert z.shape == (2, 5, 8, 8)
    assert latents.decoder(SHAPE)(z[:, :3]).shape == x.shape


def test_attention_mixes_places_and_convolutions_alone_do_not_reach_so_far() -> None:
    x = torch.rand(1, 8, 16, 16)
    other = x.clone()
    other[..., 0, 0] += 1.0
    with torch.no_grad():
        layer = latents.Attention(8)
        assert not torch.equal(layer(x)[..., 15, 15], layer(other)[..., 15, 15])


def test_the_deviation_of_latents_that_are_all_alike_divides_nothing_by_zero() -> None:
    assert latents.spread(torch.ones(4, 2, 3, 3)) > 0.0
    assert latents.spread(torch.randn(50, 2, 9, 9) * 3.0 + 7.0) == pytest.approx(3.0, rel=0.05)


def test_the_schedule_of_latent_diffusion_grows_in_square_roots() -> None:
    abar = schedule.scaled_linear(first=0.0015, last=0.0195).abar
    betas = 1.0 - abar / torch.cat([abar.new_ones(1), abar[:-1]])
    assert float(betas[0]) == pytest.approx(0.0015)
    assert float(betas[-1]) == pytest.approx(0.0195)
    torch.testing.assert_close(betas.sqrt().diff(), betas.sqrt().diff().mean().expand(999))


def test_a_row_is_computed_once_and_never_depends_on_its_company() -> None:
    asked: list[list[int]] = []
    layer = torch.nn.Conv2d(3, 3, 3)
    data = pictures(20, 32).float()

    def compute(numbers: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(numbers.tolist())
        found = layer(data[numbers])
        return found, found.mean((1, 2, 3))

    remembered, here = Remembered(compute), torch.device("cpu")
    first, mean = remembered.of([7, 2, 7], here)
    assert torch.equal(first[0], first[2])
    assert mean.shape == (3,)
    assert not first.requires_grad
    (again, _), other = remembered.of([2], here), Remembered(compute).of([1, 2, 3, 4, 5, 6, 7, 8, 9], here)
    assert torch.equal(again[0], other[0][1])
    assert torch.equal(first[0], other[0][6])
    assert sum(numbers == [7, 2, 2, 2, 2, 2, 2, 2] for numbers in asked) == 1
    assert len(asked) == 3


def test_numbers_stand_for_pictures() -> None:
    data = Numbers(MemoryImages(pictures(5, 32)))
    assert (len(data), data.size, len(data.paths)) == (5, (32, 32), 5)
    assert data.batch([4, 0, 4]).tolist() == [4, 0, 4]
