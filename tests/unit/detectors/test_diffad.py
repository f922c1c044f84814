"""Pairs, condition, interpolated channels and segmentation of DiffAD, beyond what the contract promises."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.latents import Remembered
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.nets.learner import built
from ad_detectors.testing.pictures import MemoryImages, pictures
from ad_detectors.zoo.diffad import autoencoder, conditioning, segmenter
from ad_detectors.zoo.diffad.autoencoder import KLAutoencoder
from ad_detectors.zoo.diffad.conditioning import PROCESS, ConditionedTask, Drawing
from ad_detectors.zoo.diffad.config import PRESETS, Config
from ad_detectors.zoo.diffad.detector import DiffAD
from ad_detectors.zoo.diffad.pairs import Pairs, turned
from ad_detectors.zoo.diffad.segmenter import Segmenter

HERE = torch.device("cpu")


def config(**settings: Any) -> Config:
    made = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(made, Config)
    return made


def pairs(seed: int = 1, **settings: Any) -> Pairs:
    return Pairs(MemoryImages(pictures(6, 32)), config(**settings), seed)


def test_a_pair_differs_within_its_mask_and_is_the_same_bits_outside() -> None:
    found = pairs(undamaged=0.0).of(range(24))
    apart = (found.normal != found.given).any(dim=1)
    assert torch.equal(apart, found.masks)
    assert bool(found.masks.flatten(1).any(1).all())


def test_a_pair_belongs_to_its_number_and_the_seed() -> None:
    wanted = pairs(turned=0.5).of([3, 17, 3])
    again, other = pairs(turned=0.5).of([17]), pairs(2, turned=0.5).of([17])
    assert torch.equal(wanted.given[0], wanted.given[2])
    assert torch.equal(again.given[0], wanted.given[1])
    assert not torch.equal(other.given[0], wanted.given[1])


def test_the_wanted_shares_of_pairs_are_turned_and_undamaged() -> None:
    many = Pairs(MemoryImages(pictures(4, 32)), config(pairs=30, undamaged=0.5, turned=0.3), 1)
    found = many.of(range(120))
    straight = pictures(4, 32)[torch.arange(120) % 4]
    assert 0.38 < float((~found.masks.flatten(1).any(1)).float().mean()) < 0.62
    assert 0.18 < float((found.normal != straight).flatten(1).any(1).float().mean()) < 0.42
    assert len(many) == len(many.paths) == 120


def test_a_picture_is_turned_about_its_middle_and_mirrored_at_its_border() -> None:
    picture = pictures(1, 32)[0]
    assert torch.equal(turned(picture, 0.0), picture)
    quarter = turned(picture, torch.pi / 2)
    assert torch.equal(quarter, picture.rot90(1, (1, 2)))
    assert int(turned(picture, 0.7).min()) > 0, "black corners"


def test_with_no_share_of_the_reconstruction_the_middle_channel_is_the_autoencoders() -> None:
    net = built(lambda: KLAutoencoder(autoencoder.shape_of(config())), 1)
    shown = pictures(2, 32).float() / 127.5 - 1.0
    with torch.no_grad():
        condition, _ = autoencoder.encode(net, shown, mixed=False)
        drawn = torch.randn_like(condition)

        def decode(z: Tensor) -> Tensor:
            return autoencoder.decode(net, z, mixed=False)

        seen = conditioning.joined(decode, shown, drawn, condition, (0.0, 1.0, 0.5))
        own, _, _ = net(shown, torch.zeros_like(condition))
        half = decode((drawn + condition) / 2)
    assert seen.shape == (2, 15, 32, 32)
    first, none, whole, between, image = seen.split(3, dim=1)
    torch.testing.assert_close(none, own)
    torch.testing.assert_close(whole, first)
    torch.testing.assert_close(between, half)
    assert torch.equal(image, shown)


def latents_of(numbers: Tensor) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(int(numbers[0]))
    return tuple(torch.randn(len(numbers), 4, 8, 8, generator=generator) for _ in range(3))


def test_a_network_that_names_the_noise_has_no_loss_and_sees_a_noised_condition() -> None:
    settings = config(condition_levels=1000)
    remembered = Remembered(latents_of)
    task, numbers = ConditionedTask(settings, remembered, 2.0, 5), torch.arange(8)
    t, noise, at, of_condition, of_latent = drawn = task.drawn(numbers, 3)
    mean, deviation, condition = remembered.of(numbers.tolist(), HERE)
    clean = (mean + deviation * of_latent) / 2.0

    def knows(x: Tensor, steps: Tensor) -> Tensor:
        z, beside = x.chunk(2, dim=1)
        wanted = samplers.noised(condition / 2.0, of_condition, PROCESS.of(at))
        torch.testing.assert_close(beside, wanted)
        return samplers.noise_estimate(z, clean, PROCESS.of(steps))

    assert float(task.losses(knows, numbers, *drawn).max()) < 1e-3
    nothing = task.losses(lambda x, t: torch.zeros_like(x[:, :4]), numbers, *drawn)
    torch.testing.assert_close(nothing, noise.square().mean((1, 2, 3)))
    assert not torch.equal(t, at), "the condition has the steps of the picture"
    quiet = ConditionedTask(config(condition_levels=0), remembered, 2.0, 5).drawn(numbers, 3)
    assert set(quiet[2].tolist()) == {-1}


def test_a_denoiser_that_knows_the_condition_brings_it_out_of_pure_noise() -> None:
    condition = torch.randn(3, 4, 8, 8)

    def knows(x: Tensor, t: Tensor) -> Tensor:
        z, beside = x.chunk(2, dim=1)
        return samplers.noise_estimate(z, beside, PROCESS.of(t))

    def drawn(**settings: Any) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
        return conditioning.rebuilt(knows, condition, Drawing(calls=5, **settings), generators)

    torch.testing.assert_close(drawn(), condition, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(drawn(limit=1.0), condition.clamp(-1, 1), atol=1e-3, rtol=1e-3)
    assert float((drawn(at=400) - condition).abs().mean()) > 0.1


def test_the_divergence_of_latents_that_are_normal_is_nothing() -> None:
    images = torch.rand(2, 3, 32, 32)
    mean, ones = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)
    assert float(autoencoder.loss_of(1.0, images, images, mean, ones)) == pytest.approx(0.0, abs=1e-7)
    far = autoencoder.loss_of(1.0, images, images, mean + 2.0, ones)
    assert float(far) == pytest.approx(2.0 * mean.numel() / images.numel())
    assert float(autoencoder.loss_of(0.0, images, images + 0.25, mean, ones)) == pytest.approx(0.25)


def test_focal_loss_minds_what_is_wrong_and_with_gamma_zero_is_cross_entropy() -> None:
    logits, masks = torch.randn(2, 2, 8, 8), torch.rand(2, 8, 8) < 0.3
    entropy = torch.nn.functional.cross_entropy(logits, masks.long())
    torch.testing.assert_close(segmenter.focal_loss(logits, masks, 0.0), entropy, atol=1e-3, rtol=1e-3)
    right = torch.stack([20.0 - 40.0 * masks, 40.0 * masks - 20.0], dim=1)
    assert float(segmenter.focal_loss(right, masks, 2.0)) < 1e-6
    assert float(segmenter.focal_loss(-right, masks, 2.0)) > 5.0
    torch.testing.assert_close(segmenter.marked(logits), torch.softmax(logits, dim=1)[:, 1])


def test_a_small_hot_place_counts_by_the_mean_of_its_window() -> None:
    maps = torch.zeros(2, 16, 16)
    maps[0, 4:7, 4:7] = 1.0
    maps[1, 4, 4] = 1.0
    assert segmenter.highest(maps, 3).tolist() == pytest.approx([1.0, 1 / 9])
    assert segmenter.highest(maps, 1).tolist() == [1.0, 1.0]
    assert [segmenter.rate_at(share) for share in (0.0, 0.79, 0.8, 0.95)] == pytest.approx([1, 1, 0.2, 0.04])


def test_the_segmentation_net_learns_one_batch_by_heart() -> None:
    found = pairs(undamaged=0.0).of(range(4))
    seen = torch.cat([found.normal, found.given], dim=1).float() / 127.5 - 1.0
    net = built(lambda: Segmenter(6, 8, 3), 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        loss = segmenter.focal_loss(net(seen), found.masks, 2.0)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.15 * losses[0]
    marked = segmenter.marked(net(seen)).detach()
    assert float(marked[found.masks].mean()) > float(marked[~found.masks].mean()) + 0.4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pool": 4}, "pool = 4 must be odd"),
        ({"pool": 33}, "pool = 33 must be at most image_size = 32"),
        ({"condition_step": 2}, "condition_step = 2 must be at most condition_levels = 1"),
        ({"unet_multipliers": [1, 1, 1, 1, 1]}, "image_size = 32 cannot be halved 6 times"),
        ({"unet_channels": 48}, "unet_channels = 48 is not right"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**settings)


def test_a_state_that_lacks_its_scale_is_refused() -> None:
    detector = DiffAD(config())
    learner = detector._new_autoencoder(1)
    learner.finish()
    state = {f"autoencoder/{key}": value for key, value in learner.state().items()}
    with pytest.raises(StateError, match="lacks autoencoder/scale"):
        detector.restore(state)
    detector.restore({**state, "autoencoder/scale": 1.5})
    with pytest.raises(StateError, match="has not been fitted"):
        detector.score(pictures(1, 32))
