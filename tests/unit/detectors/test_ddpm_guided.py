"""What guided DDIM learns from, how it is led to normal images, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.config import build
from ad_detectors.data.anomalous import Anomalies
from ad_detectors.data.defects import spoil
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.schedule import linear
from ad_detectors.errors import ConfigError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.pixels import normalised
from ad_detectors.testing import MemoryImages, pictures
from ad_detectors.zoo.ddpm_guided import learning_pairs
from ad_detectors.zoo.ddpm_guided.config import PRESETS, Config
from ad_detectors.zoo.ddpm_guided.detector import DDPMGuided
from ad_detectors.zoo.ddpm_guided.learning_pairs import NamingNoise

SCHEDULE = linear(dtype=torch.float64)
BRIEF = {"steps": 2, "classifier_steps": 2}


class WithDefects(MemoryImages):
    """Normal pictures beside labelled ones."""

    def __init__(self, pixels: Tensor, anomalous: Tensor) -> None:
        super().__init__(pixels)
        self.anomalous = MemoryImages(anomalous)


class Noting(ContextCore):
    """Keeps what is reported."""

    def __init__(self, detector: DDPMGuided) -> None:
        super().__init__(detector, torch.device("cpu"), 3)
        self.reported: list[dict[str, float]] = []

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        self.reported.append(metrics)


def config(**settings: Any) -> Config:
    built = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(built, Config)
    return built


def fitted(**settings: Any) -> tuple[DDPMGuided, Noting]:
    detector = DDPMGuided(config(**BRIEF, **settings))
    context = Noting(detector)
    run_fit(detector, MemoryImages(pictures(6, 32)), context)
    return detector, context


def restored(detector: DDPMGuided, **settings: Any) -> DDPMGuided:
    other = DDPMGuided(config(**BRIEF, **settings))
    other.restore(detector.state())
    return other


def test_every_normal_image_has_an_anomalous_one_beside_it_and_both_have_noise_of_their_own() -> None:
    pixels = pictures(3, 32)
    labelled = torch.full((2, 3, 32, 32), 9, dtype=torch.uint8)
    for data, expected in ((MemoryImages(pixels), None), (WithDefects(pixels, labelled), labelled[0])):
        beside, t, noise = learning_pairs.drawn(normalised(pixels), Anomalies(data, "auto", 1), 50, 1, 4)
        made = spoil(pixels, learning_pairs.determinism.derive(1, "defects", 4)).images
        wanted = made if expected is None else expected[None].expand_as(pixels)
        assert torch.equal(beside, normalised(wanted))
        pairs = learning_pairs.paired(SCHEDULE, normalised(pixels), beside, t, noise)
        assert pairs.classes.tolist() == [0, 1] * 3
        assert int(t.max()) < 50
        clean = samplers.clean_estimate(pairs.x, pairs.noise, SCHEDULE.of(pairs.t), clip=False)
        torch.testing.assert_close(clean[0::2], normalised(pixels), atol=1e-5, rtol=0)
        torch.testing.assert_close(clean[1::2], beside, atol=1e-5, rtol=0)
        assert len(torch.unique(noise.flatten(0, 1).flatten(1), dim=0)) == 6


def test_a_network_that_names_the_noise_of_both_classes_has_no_loss() -> None:
    images = normalised(pictures(3, 32))
    task = NamingNoise(Anomalies(MemoryImages(pictures(3, 32)), "synthetic", 1), 60, SCHEDULE, 1)
    drawn = task.drawn(images, 2)
    told: list[Tensor] = []

    def knows(x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        told.append(classes)
        clean = torch.stack([images, drawn[0]], 1).flatten(0, 1)
        return samplers.noise_estimate(x, clean, SCHEDULE.of(t))

    assert task.losses(knows, images, *drawn).max() < 1e-3
    assert told[0].tolist() == [0, 1] * 3
    nothing = task.losses(lambda x, t, classes: torch.zeros_like(x), images, *drawn)
    torch.testing.assert_close(nothing, drawn[2].square().mean((1, 2, 3, 4)))


def test_the_classifiers_accuracy_is_reported_by_how_strong_the_noise_was() -> None:
    _, context = fitted(noise_levels=40, noise_step=31, batch_size=16)
    assert [sorted(each)[0] for each in context.reported[:2]] == ["train/loss"] * 2
    for metrics in context.reported[2:]:
        levels = {name for name in metrics if name.startswith("train/accuracy_below_")}
        assert levels <= {f"train/accuracy_below_{level}" for level in (10, 20, 30, 40)}
        assert len(levels) >= 2
        assert 0.0 <= metrics["train/accuracy"] <= 1.0


def test_guided_images_are_the_more_normal_to_the_classifier_and_guidance_changes_what_is_found() -> None:
    detector, _ = fitted()
    images = spoil(pictures(4, 32, seed=9), 1).images
    plain, led = (restored(detector, guidance=weight) for weight in (0.0, 3000.0))
    assert detector._classifier is not None
    net = detector._classifier.nets["net"]
    chances = []
    for each in (plain, led):
        with torch.no_grad():
            rebuilt = each._rebuilt(images)[1]
            chances.append(net(rebuilt, torch.zeros(4)).log_softmax(1)[:, 0])
    assert bool((chances[1] > chances[0]).all())
    assert not torch.equal(plain.score(images).images, led.score(images).images)


def test_scoring_draws_nothing_but_what_the_published_code_draws() -> None:
    detector, _ = fitted()
    images = pictures(2, 32, seed=9)
    other = restored(detector)
    other._seed = 12345
    assert torch.equal(other.score(images).images, detector.score(images).images)
    compat, again = (restored(detector, compat=True) for _ in range(2))
    again._seed = 12345
    assert not torch.equal(again.score(images).images, compat.score(images).images)


def test_a_flat_image_stretches_to_black_and_others_to_the_whole_range() -> None:
    detector, _ = fitted(difference="stretched")
    found = detector.score(torch.cat([torch.full((1, 3, 32, 32), 90, dtype=torch.uint8), pictures(1, 32)]))
    assert found.maps is not None
    assert bool(torch.isfinite(found.maps).all())
    assert float(found.maps.max()) <= 3.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"noise_step": 61}, "noise_step = 61 must be at most noise_levels = 60"),
        ({"skip": 31}, "skip = 31 must be less than noise_step = 31"),
        ({"heads": 3}, "heads = 3 must divide base_channels = 32"),
        ({"batch_size": 3}, "batch_size"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**settings)


def test_it_says_that_it_learns_from_defects() -> None:
    assert registry.describe("ddpm_guided").supervised
