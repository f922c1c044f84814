"""Pictures of any size become pictures of the wanted one, as Pillow would make them."""

import numpy as np
import torch
from PIL import Image

from ad_detectors.data.resizing import at_size
from ad_detectors.testing import MemoryImages, pictures


def test_pictures_of_the_wanted_size_are_handed_through_untouched() -> None:
    data = MemoryImages(pictures(2, 16))
    assert at_size(data, 16) is data


def test_a_resized_split_keeps_its_names_and_its_number() -> None:
    data = MemoryImages(pictures(3, (20, 31)))
    split = at_size(data, 16)
    assert (split.size, split.paths, len(split)) == ((16, 16), data.paths, 3)
    assert split.batch([2, 0]).shape == (2, 3, 16, 16)
    assert torch.equal(split.batch([2])[0], split.batch([0, 1, 2])[2])


def test_resizing_does_what_pillow_does_to_a_grey_level() -> None:
    (image,) = (data := MemoryImages(pictures(1, (50, 70), seed=4))).pixels
    wanted = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.BILINEAR)
    got = at_size(data, 32).batch([0])[0].permute(1, 2, 0).numpy()
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.asarray(wanted).astype(int)).max() <= 1
