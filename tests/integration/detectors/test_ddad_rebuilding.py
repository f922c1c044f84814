"""What DDAD shows as its reconstruction is what its scores are computed from."""

import torch

from ad_detectors.backbones.distance import pixel_distance
from ad_detectors.fitting import run_fit
from ad_detectors.maps import blurred
from ad_detectors.pixels import normalised
from ad_detectors.testing import MemoryImages, WatchedContext, pictures, with_defect
from ad_detectors.zoo.ddad.config import PRESETS, Config
from ad_detectors.zoo.ddad.detector import DDAD

ONE_GREY_LEVEL = 1 / 127.5  # of -1..1, which is what rounding to uint8 may take away, and a little more


def test_the_map_is_the_distance_of_an_image_from_the_reconstruction_that_is_shown() -> None:
    config = Config(**{**PRESETS["tiny"], "steps": 3, "batch_size": 1, "skip": 125, "backbone": "none"})
    detector = DDAD(config)
    clean = pictures(6, config.image_size)
    run_fit(detector, MemoryImages(clean), WatchedContext(detector))
    images = torch.cat([clean[:2], with_defect(clean[2:3])])
    rebuilt = detector.reconstruct(images)
    assert not torch.equal(rebuilt, images)
    shown = pixel_distance(normalised(images), normalised(rebuilt))
    maps = detector.score(images).maps
    assert maps is not None
    # Rounding moves a channel by half a grey level; what lies outside of 0..255 is cut off when it is shown.
    inside = ((rebuilt > 0) & (rebuilt < 255)).all(1)
    expected = blurred(shown, config.blur_sigma)
    near = blurred((~inside).float(), config.blur_sigma) < 1e-6
    assert near.float().mean() > 0.2
    assert (maps - expected)[near].abs().max() <= ONE_GREY_LEVEL / 2 + 1e-5
