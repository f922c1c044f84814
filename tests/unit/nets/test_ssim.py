"""Structural similarity is that of the paper, place by place."""

import numpy as np
import torch
from skimage.metrics import structural_similarity

from ad_detectors.nets.ssim import ssim
from ad_detectors.testing import pictures


def test_it_agrees_with_another_program_away_from_the_border() -> None:
    first, second = (pictures(2, 40, seed=seed).float() / 127.5 - 1.0 for seed in (1, 2))
    ours = ssim(first, second, span=2.0)
    for a, b, found in zip(first, second, ours, strict=True):
        wanted = structural_similarity(
            a.double().numpy(),
            b.double().numpy(),
            data_range=2.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1].mean(axis=0)
        inner = np.s_[5:-5, 5:-5]
        assert np.abs(found.numpy()[inner] - wanted[inner]).max() < 1e-4


def test_equal_pictures_have_one_everywhere_and_it_can_be_learnt_from() -> None:
    picture = (pictures(1, 32).float() / 127.5 - 1.0).requires_grad_(True)
    found = ssim(picture, picture.detach(), span=2.0)
    assert torch.allclose(found, torch.ones(1, 32, 32), atol=1e-5)
    (1.0 - ssim(picture, picture.detach().flip(3), span=2.0)).mean().backward()
    assert picture.grad is not None
    assert bool(picture.grad.isfinite().all())
    assert float(picture.grad.abs().sum()) > 0
