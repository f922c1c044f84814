"""Maps keep what they say when they are blurred and brought to another size."""

import pytest
import torch

from ad_detectors import maps


def test_blur_keeps_a_flat_map_flat_and_spreads_a_point_evenly() -> None:
    flat = torch.full((1, 32, 32), 0.7)
    torch.testing.assert_close(maps.blurred(flat, 2.0), flat)
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1.0
    spread = maps.blurred(point, 2.0)[0]
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(spread, spread.T)
    assert torch.equal(maps.blurred(point, 0.0), point)


def test_a_map_is_stretched_between_the_centres_of_its_places() -> None:
    ramp = torch.arange(4.0).expand(1, 4, 4)
    wide = maps.stretched(ramp, 4, 8)
    assert wide.shape == (1, 4, 8)
    assert wide[0, 0].tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
    assert maps.stretched(ramp, 4, 4) is ramp


def test_images_of_the_models_size_are_left_alone_and_others_stay_uint8() -> None:
    images = torch.randint(256, (2, 3, 40, 24)).to(torch.uint8)
    resized = maps.to_model_size(images, 32)
    assert (resized.dtype, tuple(resized.shape)) == (torch.uint8, (2, 3, 32, 32))
    assert maps.to_model_size(resized, 32) is resized


@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_median_filter_drops_points_and_keeps_edges(side: int) -> None:
    step = torch.zeros(2, 16, 20)
    step[:, :, 10:] = 1.0
    spoilt = step.clone()
    spoilt[0, 4, 4] = 9.0
    found = maps.median_filtered(spoilt, side)
    assert torch.equal(found, spoilt if side == 1 else step)


def test_a_median_filter_takes_the_middle_of_each_window() -> None:
    values = torch.rand(1, 9, 11, generator=torch.Generator().manual_seed(1))
    window = values[0, 2:7, 3:8]
    assert maps.median_filtered(values, 5)[0, 4, 5] == window.median()
