"""Codebook, surprise and in-painting of latent diffusion, beyond what the contract promises."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.data.subset import Subset
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.chains import Sampling, denoise, gaussian, inpaint
from ad_detectors.diffusion.strides import respaced
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.maps import top_mean
from ad_detectors.testing.pictures import MemoryImages, pictures
from ad_detectors.zoo.ldm import codebook, surprise
from ad_detectors.zoo.ldm.codebook import Codebook, VQAutoencoder
from ad_detectors.zoo.ldm.config import PRESETS, Config
from ad_detectors.zoo.ldm.detector import LDM
from ad_detectors.zoo.ldm.surprise import PROCESS

HERE = torch.device("cpu")
BAND = (100, 400, 700)


def config(**settings: Any) -> Config:
    made = build(Config, {**PRESETS["tiny"], **settings})
    assert isinstance(made, Config)
    return made


def noise_of(seeds: range, shape: tuple[int, ...]) -> Any:
    return gaussian([torch.Generator().manual_seed(seed) for seed in seeds], shape, HERE)


def test_words_are_the_nearest_and_follow_the_latents_they_stand_for() -> None:
    torch.manual_seed(1)
    book = Codebook(16, 2, decay=0.8)
    middles = torch.tensor([[-3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    for _ in range(60):
        which = torch.randint(3, (2, 8, 8))
        z = (middles[which] + 0.1 * torch.randn(2, 8, 8, 2)).movedim(-1, 1)
        book.follow(z)
    words, chosen = book(z)
    apart = (z.movedim(1, -1)[..., None, :] - book.codes).square().sum(-1)
    assert torch.equal(chosen, apart.argmin(-1))
    torch.testing.assert_close(words.movedim(1, -1), book.codes[chosen])
    torch.testing.assert_close(words.movedim(1, -1), middles[which], atol=0.25, rtol=0.0)


def test_a_word_that_nobody_uses_becomes_a_latent_of_the_batch() -> None:
    torch.manual_seed(1)
    book = Codebook(2, 1, decay=0.5)
    z = torch.randn(1, 1, 4, 4) + 5.0
    book.follow(z)
    book.codes[1], book.uses[1] = -1e6, 0.0
    book.follow(z)
    assert float((book.codes[1] - 5.0).abs()) < 3.0


def test_words_are_found_in_float32_within_mixed_precision_too() -> None:
    torch.manual_seed(1)
    book, z = Codebook(64, 8, decay=0.9), torch.randn(2, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        book.follow(z)
        _, within = book(z)
    assert book.codes.dtype == torch.float32
    assert torch.equal(within, book(z)[1])


def test_perplexity_counts_the_words_in_use() -> None:
    assert codebook.perplexity(torch.arange(8), 16) == pytest.approx(8.0)
    assert codebook.perplexity(torch.zeros(9, dtype=torch.int64), 16) == pytest.approx(1.0)


def test_the_encoder_learns_through_the_words_and_the_codebook_needs_no_gradient() -> None:
    torch.manual_seed(1)
    net = VQAutoencoder(codebook.shape_of(config()), 8, 0.9)
    shown = torch.rand(2, 3, 32, 32) * 2.0 - 1.0
    rebuilt, z, words, _ = net(shown)
    assert not words.requires_grad
    codebook.loss_of(0.0, shown, rebuilt, z, words).backward()  # type: ignore[no-untyped-call]
    first = next(net.encoder.parameters()).grad
    assert first is not None
    assert float(first.abs().sum()) > 0.0
    assert float(codebook.loss_of(0.25, shown, shown, words + 2.0, words)) == pytest.approx(1.0)


def test_the_divergence_of_a_step_is_that_of_its_two_normal_distributions() -> None:
    z, wrong = torch.randn(2, 3, 4, 4), 0.3

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return samplers.noise_estimate(x, z + wrong, PROCESS.of(t))  # as if z lay elsewhere

    found = surprise.divergences(predict, z, BAND, noise_of(range(2), (3, 4, 4)))
    x = torch.randn(2, 3, 4, 4)
    for number, step in enumerate(BAND):
        abar, before = PROCESS.of(torch.full((2,), step)), PROCESS.of(torch.full((2,), step - 1))
        true, said = (samplers.posterior_mean(x, each, abar, before) for each in (z, z + wrong))
        spread = samplers.large_variance(abar, before).sqrt().float()[:, None, None, None].expand(z.shape)
        normal = torch.distributions.Normal
        wanted = torch.distributions.kl_divergence(normal(true, spread), normal(said, spread)).mean(1)
        torch.testing.assert_close(found[number], wanted, rtol=2e-2, atol=1e-7)


def test_a_denoiser_of_white_latents_is_equally_surprised_everywhere_but_at_an_outlier() -> None:
    # The best guess of noise in latents that are N(0, 1) everywhere is known.
    def best(x: Tensor, t: Tensor) -> Tensor:
        return (1.0 - PROCESS.of(t)).sqrt().float()[:, None, None, None] * x

    z = torch.randn(64, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    found = surprise.divergences(best, z, BAND, noise_of(range(64), (8, 6, 6)))
    usual = surprise.expected(found, calibrated=True, quantile=0.9)
    even = surprise.surprise(found, usual.means).mean(0)
    torch.testing.assert_close(even, torch.ones(6, 6), atol=0.25, rtol=0.0)
    share = (surprise.surprise(found, usual.means) > usual.threshold).float().mean()
    assert float(share) == pytest.approx(0.1, abs=0.01)
    z[0, :, 2, 4] = 6.0
    odd = surprise.surprise(
        surprise.divergences(best, z[:1], BAND, noise_of(range(1), (8, 6, 6))), usual.means
    )
    assert int(odd.flatten().argmax()) == 2 * 6 + 4
    assert bool(surprise.masked(odd, usual.threshold, 0)[0, 2, 4])
    assert int(surprise.masked(odd * 0.0 + (odd >= odd.max()), 0.5, 1).sum()) == 9


def test_without_calibration_divergences_are_added_as_they_are() -> None:
    found = torch.rand(3, 4, 5, 5)
    assert torch.equal(surprise.expected(found, calibrated=False, quantile=0.5).means, torch.ones(3))


def test_the_highest_share_of_places_is_the_score_and_at_least_one_counts() -> None:
    maps = torch.arange(32.0).reshape(2, 4, 4)
    assert top_mean(maps, 1e-6).tolist() == [15.0, 31.0]
    assert top_mean(maps, 0.25).tolist() == [13.5, 29.5]
    assert top_mean(maps, 1.0).tolist() == [7.5, 23.5]


def known_denoiser(x: Tensor, t: Tensor) -> Tensor:
    """Expect twos."""
    return samplers.noise_estimate(x, torch.full_like(x, 2.0), PROCESS.of(t))


def painted(mask: Tensor, known: Tensor) -> Tensor:
    return inpaint(
        known_denoiser,
        known,
        mask,
        respaced(500, 20),
        Sampling(schedule=PROCESS, clip=False),
        noise_of(range(2), (3, 8, 8)),
    )


def test_where_nothing_is_masked_everything_is_kept_and_elsewhere_it_is_drawn() -> None:
    known = torch.randn(2, 3, 8, 8)
    nowhere = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    assert torch.equal(painted(nowhere, known), known)
    torch.testing.assert_close(painted(~nowhere, known), torch.full_like(known, 2.0), atol=1e-3, rtol=1e-3)
    half = nowhere.clone()
    half[..., :4] = True
    found = painted(half, known)
    assert torch.equal(found[..., 4:], known[..., 4:])
    torch.testing.assert_close(found[..., :4], torch.full((2, 3, 8, 4), 2.0), atol=1e-3, rtol=1e-3)


def test_masked_everywhere_it_is_a_sample_from_the_same_noise() -> None:
    def predict(x: Tensor, t: Tensor) -> Tensor:
        return x.sin()

    known, steps = torch.randn(2, 3, 8, 8), [50, 20, 0]
    sampling = Sampling(schedule=PROCESS, clip=False)

    class Recorded:
        """The noise of the steps, without that which is put back and does not count."""

        def __init__(self) -> None:
            self.drawn: list[Tensor] = []

        def __call__(self, at: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(len(self.drawn))
            self.drawn.append(torch.randn(known.shape, generator=generator))
            return self.drawn[-1]

    noise = Recorded()
    found = inpaint(predict, known, torch.ones(2, 1, 8, 8, dtype=torch.bool), steps, sampling, noise)
    start = samplers.noised(known, noise.drawn[0], PROCESS.of(torch.full((2,), 50)))
    of_steps = iter(noise.drawn[1::2])
    wanted = denoise(predict, start, [steps] * 2, sampling, lambda at: next(of_steps))
    torch.testing.assert_close(found, wanted)


def test_images_are_held_from_learning_where_there_are_enough() -> None:
    many, few = (MemoryImages(pictures(count, 32)) for count in (40, 20))
    learnt, held = LDM(config(held=0.25))._shared(many, 3)
    assert (len(learnt), len(held)) == (30, 10)
    assert not set(learnt.paths) & set(held.paths)
    assert torch.equal(learnt.batch([0, 5])[1], many.batch([many.paths.index(learnt.paths[5])])[0])
    assert LDM(config(held=0.25))._shared(few, 3) == (few, few)
    assert Subset(few, [7, 2]).paths == [few.paths[7], few.paths[2]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"first_step": 200}, "first_step = 200 must be at most last_step = 100"),
        ({"inpaint_calls": 301}, "inpaint_calls = 301 must be at most inpaint_step = 300"),
        ({"unet_multipliers": [1, 1, 1, 1, 1]}, "image_size = 32 cannot be halved 6 times"),
        ({"quantile": 1.0}, "quantile = 1.0 is out of range"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**settings)


def test_a_calibration_at_other_steps_is_refused() -> None:
    state = {"calibration/means": torch.ones(5), "calibration/threshold": 2.0}
    LDM(config()).restore(state)
    with pytest.raises(StateError, match="calibrated at 5 steps, the config's are 3"):
        LDM(config(stride=40)).restore(state)
    with pytest.raises(StateError, match="lacks calibration/means or threshold"):
        LDM(config()).restore({"calibration/means": torch.ones(5)})
