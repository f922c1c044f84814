"""One step of a diffusion process, forwards or backwards: formulas of the signal left before and after it.

`abar` and `following` are (B,) float64 on the CPU, one for each image (`Schedule.of`): the cumulative product
of 1 - beta at the step an image is at, and at the one it goes to. The steps need not be neighbours: between
two of them lies one with beta = 1 - abar / following (Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 19).

DDPM: Ho et al. 2020, arXiv 2006.11239. DDIM: Song et al. 2021, arXiv 2010.02502.
"""

from __future__ import annotations

from torch import Tensor

LEAST_VARIANCE = 1e-20  # beneath a logarithm


def noised(clean: Tensor, noise: Tensor, abar: Tensor) -> Tensor:
    """Return clean images (B, C, H, W) under noise (DDPM eq. 4)."""
    return _like(abar.sqrt(), clean) * clean + _like((1.0 - abar).sqrt(), clean) * noise


def clean_estimate(x: Tensor, e: Tensor, abar: Tensor, clip: float = True) -> Tensor:
    """Return the clean images that follow from x_t and the noise in it (DDPM eq. 15), clipped to -1..1.

    `clip` may be another limit than 1, or none (False).
    """
    clean = _like(abar.rsqrt(), x) * x - _like((1.0 / abar - 1.0).sqrt(), x) * e
    return clean.clamp(-float(clip), float(clip)) if clip else clean


def noise_estimate(x: Tensor, clean: Tensor, abar: Tensor) -> Tensor:
    """Return the noise that lies between x_t and its clean images: `clean_estimate` solved for it."""
    return (_like(abar.rsqrt(), x) * x - clean) / _like((1.0 / abar - 1.0).sqrt(), x)


def guided_noise(e: Tensor, gradient: Tensor, abar: Tensor) -> Tensor:
    """Return the noise of a process whose logarithm of density grows by what has this gradient at x_t.

    Dhariwal and Nichol 2021, arXiv 2105.05233, algorithm 2.
    """
    return e - _like((1.0 - abar).sqrt(), e) * gradient


def posterior_mean(x: Tensor, clean: Tensor, abar: Tensor, following: Tensor) -> Tensor:
    """Return the mean of the next images, given x_t and the clean ones (DDPM eq. 7)."""
    beta, left = 1.0 - abar / following, 1.0 - abar
    of_clean = beta * following.sqrt() / left
    of_x = (1.0 - following) * (abar / following).sqrt() / left
    return _like(of_clean, x) * clean + _like(of_x, x) * x


def large_variance(abar: Tensor, following: Tensor) -> Tensor:  # (B,)
    """Return beta, the larger of DDPM's two fixed variances (section 3.2)."""
    return 1.0 - abar / following


def small_variance(abar: Tensor, following: Tensor) -> Tensor:  # (B,)
    """Return beta tilde, the variance of the posterior (DDPM eq. 7)."""
    return (1.0 - abar / following) * (1.0 - following) / (1.0 - abar)


def learned_variance(v: Tensor, abar: Tensor, following: Tensor) -> Tensor:  # (B, C, H, W)
    """Return the variance that a network chose by v, about -1..1, between the two fixed ones.

    Linear in their logarithms (Nichol and Dhariwal 2021, eq. 15).
    """
    small, large = (
        _like(each.clamp(min=LEAST_VARIANCE).log(), v)
        for each in (small_variance(abar, following), large_variance(abar, following))
    )
    share = (v + 1.0) / 2.0
    return (share * large + (1.0 - share) * small).exp()


def ancestral(
    x: Tensor, clean: Tensor, abar: Tensor, following: Tensor, noise: Tensor, variance: Tensor | None = None
) -> Tensor:
    """Return the next images of a DDPM (algorithm 2, line 4); none is added on the way to the clean ones.

    `variance` is (B,) or (B, C, H, W); without it that of `large_variance`.
    """
    spread = (large_variance(abar, following) if variance is None else variance).sqrt()
    spread = _like(spread, x) if spread.ndim == 1 else spread
    goes_on = _like((following < 1.0).double(), x)
    return posterior_mean(x, clean, abar, following) + goes_on * spread * noise


def ddim(
    clean: Tensor,
    e: Tensor,
    abar: Tensor,
    following: Tensor,
    eta: float = 0.0,
    noise: Tensor | None = None,
) -> Tensor:
    """Return the next images from the clean estimate and the noise (DDIM eq. 12).

    With eta = 0 nothing is drawn, with eta = 1 the spread is a DDPM's (eq. 16); then `noise` must be given.
    It also runs the other way, to a noisier step, which encodes images without randomness (eq. 14).
    """
    spread = eta * small_variance(abar, following).clamp(min=0.0).sqrt()
    kept = (1.0 - following - spread.square()).clamp(min=0.0).sqrt()
    result = _like(following.sqrt(), clean) * clean + _like(kept, clean) * e
    if noise is None:
        if eta != 0.0:
            raise ValueError("with eta > 0 a step of DDIM draws noise: give it some")
        return result
    return result + _like(spread, clean) * noise


def _like(numbers: Tensor, images: Tensor) -> Tensor:
    """Return numbers (B,) in the images' type, on their device, to be multiplied with them."""
    return numbers.to(images.dtype).to(images.device)[:, None, None, None]
