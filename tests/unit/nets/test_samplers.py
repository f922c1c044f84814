"""What the schedules, samplers and chains promise: the papers' formulas, and images that do not mix."""

import math

import pytest
import torch
from torch import Tensor

from ad_detectors.diffusion import samplers, schedule
from ad_detectors.diffusion.chains import Sampling, denoise, encode, gaussian
from ad_detectors.diffusion.strides import padded, respaced, strided

PROCESS = schedule.linear(dtype=torch.float64)
CPU = torch.device("cpu")


def images(count: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def at(*steps: int) -> Tensor:
    return PROCESS.of(torch.tensor(steps))


def test_schedules_are_those_of_the_papers() -> None:
    assert torch.allclose(PROCESS.abar.float(), schedule.linear().abar, atol=1e-6)
    cosine = schedule.cosine()
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    for step in (0, 10, 500, 900):
        t = (step + 1) / 1000
        assert cosine.at(step) == pytest.approx(math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / start)
    betas = 1 - cosine.abar[1:] / cosine.abar[:-1]
    assert betas.max() == pytest.approx(0.999)
    short = schedule.rescaled_linear(500)
    assert 1 - short.at(0) == pytest.approx(2e-4)
    assert len(short.abar) == 500


def test_outside_of_a_schedule_all_or_nothing_is_left() -> None:
    assert at(-1, 0, 999, 1000).tolist() == pytest.approx([1.0, 1 - 1e-4, PROCESS.at(999), 0.0])


def test_steps_are_visited_from_high_to_low_and_end_with_the_first() -> None:
    assert strided(10, 4) == [10, 6, 2, 0]
    assert strided(3) == [3, 2, 1, 0]
    assert strided(0, 5) == [0]
    assert respaced(1000, 5) == [999, 749, 500, 250, 0]
    assert respaced(7, 7) == [6, 5, 4, 3, 2, 1, 0]
    assert respaced(9, 1) == [8]
    with pytest.raises(ValueError, match="8 of 7 steps"):
        respaced(7, 8)
    assert padded([[3, 1, 0], [1]]).tolist() == [[3, 1, 0, -1], [1, 1, 1, -1]]


def test_estimates_undo_the_noise() -> None:
    clean, noise, abar = images(), torch.randn(2, 3, 4, 4), at(300, 20)
    x = samplers.noised(clean, noise, abar)
    torch.testing.assert_close(samplers.clean_estimate(x, noise, abar), clean, atol=1e-5, rtol=0)
    torch.testing.assert_close(samplers.noise_estimate(x, clean, abar), noise, atol=1e-3, rtol=0)
    assert samplers.clean_estimate(x, -9 * noise, abar).abs().max() <= 1
    assert samplers.clean_estimate(x, -9 * noise, abar, clip=False).abs().max() > 1


def test_the_posterior_is_that_of_two_gaussians() -> None:
    """DDPM eq. 6 and 7, from Bayes' rule with q(x_s) and q(x_t | x_s) as numbers: neighbours and leaps."""
    for t, s in ((250, 249), (250, 200), (40, 3)):
        abar, following = at(t), at(s)
        alpha = abar / following
        before, forth = 1 - following, 1 - alpha  # variances of x_s given x_0, and of x_t given x_s
        precision = 1 / before + alpha / forth
        clean, x = torch.full((1, 1, 1, 1), 0.3), torch.full((1, 1, 1, 1), -0.8)
        expected = (following.sqrt() * 0.3 / before + alpha.sqrt() * -0.8 / forth) / precision
        found = samplers.posterior_mean(x, clean, abar, following)
        assert float(found) == pytest.approx(float(expected), rel=1e-5)
        assert float(samplers.small_variance(abar, following)) == pytest.approx(float(1 / precision))
        assert float(samplers.large_variance(abar, following)) == pytest.approx(float(forth))


def test_a_learned_variance_lies_between_the_two_fixed_ones() -> None:
    abar, following = at(250), at(240)
    v = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    small, large = samplers.small_variance(abar, following), samplers.large_variance(abar, following)
    found = samplers.learned_variance(v, abar, following).flatten().double()
    expected = torch.cat([small, (small * large).sqrt(), large])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_no_noise_is_added_on_the_way_to_the_clean_image() -> None:
    x, clean, noise = images(), images(seed=1), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(samplers.ancestral(x, clean, at(0, 0), at(-1, -1), noise), clean)
    moved = samplers.ancestral(x, clean, at(9, 9), at(8, 8), noise)
    mean = samplers.posterior_mean(x, clean, at(9, 9), at(8, 8))
    spread = samplers.large_variance(at(9), at(8)).sqrt().item()
    torch.testing.assert_close(moved - mean, spread * noise, atol=1e-6, rtol=1e-4)


def test_ddim_with_all_its_noise_has_the_mean_and_spread_of_ddpm() -> None:
    x, clean, noise = images(), images(seed=1), torch.randn(2, 3, 4, 4)
    abar, following = at(300, 90), at(250, 80)
    e = samplers.noise_estimate(x, clean, abar)
    ours = samplers.ddim(clean, e, abar, following, 1.0, noise)
    small = samplers.small_variance(abar, following)
    theirs = samplers.ancestral(x, clean, abar, following, noise, small)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="give it some"):
        samplers.ddim(clean, e, abar, following, 0.5)


def knowing(image: Tensor, process: schedule.Schedule = PROCESS):  # type: ignore[no-untyped-def]
    """Return a network that knows the image, and therefore the noise."""

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return samplers.noise_estimate(x, image, process.of(t))

    return predict


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(schedule=PROCESS),
        Sampling(schedule=PROCESS, sampler="ddim"),
        Sampling(schedule=PROCESS, sampler="ddim", eta=1.0, clip=False),
        Sampling(schedule=schedule.cosine(), sampler="ddim", eta=0.5),
    ],
)
def test_a_network_that_knows_the_image_brings_it_back(sampling: Sampling) -> None:
    image, steps = images(), [strided(200, 20), strided(130, 20)]
    start = sampling.schedule.of(torch.tensor([200, 130]))
    x = samplers.noised(image, torch.randn(image.shape), start)
    predict = knowing(image, sampling.schedule)
    rebuilt = denoise(predict, x, steps, sampling, gaussian(generators(1, 2), (3, 4, 4), CPU))
    torch.testing.assert_close(rebuilt, image, atol=1e-4, rtol=0)


def test_what_becomes_of_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    x = torch.randn(3, 3, 4, 4)
    chains = [strided(200, 20), strided(130, 30), strided(40, 7)]

    def halves(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([0.5 * x, x.sin()], dim=1) * (1.0 + t[:, None, None, None] / 1000)

    sampling = Sampling(schedule=PROCESS, learned_variance=True)
    noise = gaussian(generators(1, 2, 3), (3, 4, 4), CPU)
    together = denoise(halves, x, chains, sampling, noise)
    for index, seed in enumerate((1, 2, 3)):
        own = gaussian(generators(seed), (3, 4, 4), CPU)
        alone = denoise(halves, x[index : index + 1], [chains[index]], sampling, own)
        assert torch.equal(alone[0], together[index])


def test_what_ddim_encodes_it_decodes() -> None:
    image = images()
    sampling = Sampling(schedule=PROCESS, sampler="ddim", clip=False)

    def smooth(x: Tensor, t: Tensor) -> Tensor:
        return 0.3 * x.tanh() + 0.0 * t[:, None, None, None]

    steps = list(range(0, 500, 2))
    encoded = encode(smooth, image, steps, sampling)
    assert (encoded - image).abs().mean() > 0.1
    nothing = gaussian(generators(1, 2), (3, 4, 4), CPU)
    decoded = denoise(smooth, encoded, [steps[::-1]] * 2, sampling, nothing)
    torch.testing.assert_close(decoded, image, atol=0.02, rtol=0)


def test_an_encoded_image_depends_on_nothing_random() -> None:
    sampling = Sampling(schedule=PROCESS, sampler="ddim")
    first = encode(lambda x, t: x.sin(), images(), [0, 100, 200], sampling)
    torch.manual_seed(4)
    assert torch.equal(first, encode(lambda x, t: x.sin(), images(), [0, 100, 200], sampling))
