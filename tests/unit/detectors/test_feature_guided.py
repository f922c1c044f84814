"""How features lead a reconstruction, told or by their gradient, and how both distances are made alike."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.config import build
from ad_detectors.diffusion import samplers
from ad_detectors.errors import ConfigError, NotFinite, StateError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.pixels import normalised
from ad_detectors.testing import MemoryImages, pictures
from ad_detectors.zoo.feature_guided import embedding, rebuilding
from ad_detectors.zoo.feature_guided.config import PRESETS, Config
from ad_detectors.zoo.feature_guided.detector import FeatureGuided
from ad_detectors.zoo.feature_guided.rebuilding import SCHEDULE, NamingNoise
from ad_detectors.zoo.feature_guided.scale import Scale, restored_scale

CPU = torch.device("cpu")


def config(**settings: Any) -> Config:
    built = build(Config, {**PRESETS["tiny"], "steps": 2, **settings})
    assert isinstance(built, Config)
    return built


@cache
def fitted(guidance: str) -> FeatureGuided:
    detector = FeatureGuided(config(guidance=guidance))
    run_fit(detector, MemoryImages(pictures(6, 32)), ContextCore(detector, CPU, 3))
    return detector


def restored(guidance: str, **settings: Any) -> FeatureGuided:
    detector = FeatureGuided(config(guidance=guidance, **settings))
    detector.restore(fitted(guidance).state())
    return detector


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(count)]


def test_in_training_features_are_told_of_their_own_image_and_now_and_then_not() -> None:
    images = pictures(5, 32)
    told = torch.arange(5.0)[:, None].repeat(1, 3) + 1.0
    task = NamingNoise(config(batch_size=4, embed_drop=0.5), MemoryImages(images), told, 7)
    dropped = 0
    for step in range(20):
        places = determinism.step_indices(7, step, 4, 5)
        t, noise, given = task.drawn(normalised(images[places]), step)
        assert int(t.max()) < 60
        for row, place in zip(given, places, strict=True):
            nothing = bool((row == 0).all())
            assert nothing or torch.equal(row, told[place])
            dropped += nothing
    assert 20 < dropped < 60
    batch = normalised(images[places])

    def knows(x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        return samplers.noise_estimate(x, batch, SCHEDULE.of(t))

    assert task.losses(knows, batch, t, noise, given).max() < 1e-3


def test_what_is_told_says_how_an_image_differs_and_zeros_say_nothing() -> None:
    found = restored("embed")._embedding  # one of its own, to learn otherwise
    assert found is not None
    pixels = pictures(9, 32, seed=4)
    with torch.no_grad():
        found.learn(found.vectors(pixels))
        conditions = found.conditions(found.vectors(pixels))
        white = found.conditions(found.vectors(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)))
    assert conditions.shape == (9, embedding.size_of(config()))
    torch.testing.assert_close(
        conditions[:, :-1].mean(0), torch.zeros(conditions.shape[1] - 1), atol=1e-4, rtol=0
    )
    assert bool((conditions[:, -1] == 1).all())
    assert float(white[:, :-1].abs().max()) == embedding.FARTHEST


def test_a_strength_of_zero_is_what_is_told_and_more_goes_away_from_nothing() -> None:
    x, t, conditions = torch.zeros(2, 3, 4, 4), torch.tensor([5, 5]), torch.tensor([[2.0], [3.0]])
    calls: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        calls.append(given)
        return x + given[:, :, None, None]

    assert torch.equal(rebuilding.told(predict, conditions, 0.0)(x, t), predict(x, t, conditions))
    assert len(calls) == 2
    stronger = rebuilding.told(predict, conditions, 0.5)(x, t)
    assert stronger[:, 0, 0, 0].tolist() == [3.0, 4.5]


def test_the_features_of_another_image_draw_a_reconstruction_towards_it() -> None:
    """A network that was taught to paint what it is told, whatever the image, does so at strong noise."""
    settings = config(noise_levels=1000, noise_step=1000, calls=10)
    colours = torch.tensor([[-0.5], [0.5]])

    def predict(x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        clean = given[:, :, None, None].expand_as(x)
        return samplers.noise_estimate(x, clean, SCHEDULE.of(t))

    shown = torch.stack([torch.full((3, 8, 8), float(colour)) for colour in colours])
    own, others = (
        rebuilding.rebuilt(rebuilding.told(predict, each, 0.0), shown, generators(2), settings)
        for each in (colours, colours.flip(0))
    )
    torch.testing.assert_close(own, shown, atol=1e-2, rtol=0)
    torch.testing.assert_close(others, shown.flip(0), atol=1e-2, rtol=0)


def test_without_a_scale_no_gradient_is_followed_and_with_one_features_come_nearer() -> None:
    detector = fitted("grad")
    assert detector._embedding is not None
    extractor = detector._embedding.extractor
    predict, _ = detector._fitted()
    shown = normalised(pictures(3, 32, seed=8))

    def far(pictures: Tensor) -> Tensor:
        (a,), (b,) = (extractor((each + 1) / 2, [4]) for each in (pictures, shown))
        return (a - b).square().flatten(1).mean(1)  # type: ignore[no-any-return]

    found = []
    with torch.no_grad():
        for scale in (0.0, 0.5):
            settings = config(guidance="grad", grad_scale=scale, calls=10)
            led = rebuilding.drawn_to(predict, shown, extractor, settings)
            found.append(rebuilding.rebuilt(led, shown, generators(3), settings))
        plain = rebuilding.rebuilt(predict, shown, generators(3), config(calls=10))
    torch.testing.assert_close(found[0], plain, atol=1e-5, rtol=0)
    assert bool((far(found[1]) < far(found[0])).all())


def test_an_image_that_is_drawn_by_its_gradient_scores_the_same_in_any_company() -> None:
    images = pictures(3, 32, seed=8)
    together = fitted("grad").score(images).images
    for index in range(3):
        assert torch.equal(fitted("grad").score(images[[index, 0]]).images[0], together[index])
    without = restored("grad", grad_scale=0.0).score(images).images
    assert not torch.equal(without, together)


def test_both_distances_are_of_the_size_of_one_on_normal_images() -> None:
    detector = fitted("embed")
    with torch.no_grad():
        pixel, feature = detector._distances(pictures(6, 32))
    for distance, scale in ((pixel, detector._scale.pixel), (feature, detector._scale.feature)):
        assert float(torch.quantile(distance.flatten(1), 0.995, dim=1).mean()) == pytest.approx(
            scale, rel=1e-4
        )
    assert restored_scale(detector._scale.state()) == detector._scale


def test_a_perfect_reconstruction_is_not_divided_by_zero_and_no_number_is_refused() -> None:
    none = torch.zeros(2, 4, 4)
    assert Scale().seen(none, none).pixel == pytest.approx(1e-4)
    with pytest.raises(NotFinite, match="lower lr"):
        Scale().seen(none, none / 0.0)


def test_a_state_of_another_backbone_or_half_a_fit_is_refused() -> None:
    state = dict(fitted("embed").state())
    other = FeatureGuided(config())
    with pytest.raises(StateError, match="has the backbone 'resnet18', the config 'tf_efficientnet_lite0'"):
        other.restore({**state, "features/backbone": "resnet18"})
    half = FeatureGuided(config())
    half.restore({**state, "score/scale/ready": False})
    with pytest.raises(StateError, match="has not been fitted"):
        half.score(pictures(1, 32))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"noise_step": 61}, "noise_step = 61 must be at most noise_levels = 60"),
        ({"calls": 31}, "calls = 31 must be at most noise_step = 30"),
        ({"pixel_weight": 0.0, "feature_weight": 0.0}, "both 0"),
        ({"embed_layer": 16, "embed_grid": 4}, "which has 2 places across"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**settings)
