"""Diffusion time says what its equations say, by whichever estimate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import invgamma, spearmanr

from ad_detectors.neighbours.several import mean_square
from ad_detectors.testing import Subject, pictures
from ad_detectors.zoo.dte import estimating, vectors
from ad_detectors.zoo.dte.config import Config

SIZE = 16


def test_the_time_of_a_distance_is_the_mode_of_the_variances_density() -> None:
    shape, square = estimating.shape_of(SIZE), 9.0
    variance = np.linspace(0.01, 2.0, 20_000)
    density = invgamma.logpdf(variance, a=shape, scale=square / 2)
    mode = float(estimating.time_of_distance(torch.tensor([square]), SIZE, 300, compat=False))
    assert mode == pytest.approx(variance[density.argmax()], abs=1e-3)
    assert mode == pytest.approx(square / 2 / (shape + 1))


def test_time_by_neighbours_ranks_as_their_distance_and_whole_steps_do_until_the_last() -> None:
    random = torch.Generator().manual_seed(1)
    rows = 0.3 * torch.randn(300, SIZE, generator=random)
    queries = torch.randn(80, SIZE, generator=random) * torch.linspace(0.05, 2.0, 80)[:, None]
    square = mean_square(queries, rows, 5)
    smooth, steps = (estimating.time_of_distance(square, SIZE, 300, compat=each) for each in (False, True))
    assert spearmanr(square, smooth).statistic == pytest.approx(1.0)
    below = steps < 299
    assert 20 < int(below.sum()) < 80, "some are to be beyond the last step, and most not"
    assert spearmanr(square[below], steps[below]).statistic > 0.999
    assert len(set(smooth.tolist())) == 80, "no two of them are to tie"


def test_under_one_variance_the_inverse_gammas_loss_is_least_at_shape_times_variance() -> None:
    variance = torch.full((1,), 0.37)
    roots = torch.linspace(0.3, 3.0, 4000)
    losses = torch.stack(
        [
            estimating.loss_of("inverse_gamma", root[None, None], variance, variance, SIZE, compat=False)
            for root in roots
        ]
    )
    best = float(roots[losses.argmin()]) ** 2
    assert best == pytest.approx(estimating.shape_of(SIZE) * 0.37, rel=5e-3)


def test_the_inverse_gammas_time_does_not_mind_the_roots_sign_unless_it_is_wanted_as_published() -> None:
    found = torch.tensor([[-3.0], [1.0], [2.0]])
    ours, theirs = (estimating.time_of("inverse_gamma", found, SIZE, compat=each) for each in (False, True))
    assert ours.argsort().tolist() == [1, 2, 0]
    assert theirs.argsort().tolist() == [0, 1, 2]


def test_bins_are_equally_wide_in_time_and_the_last_holds_the_last_step() -> None:
    bins = estimating.bin_of(torch.arange(400), 400, 7)
    assert bins.min() == 0
    assert bins[399] == 6
    assert (bins == 6).nonzero().flatten().tolist() == list(range(343, 400))


@pytest.mark.parametrize("level", ["patch", "image"])
def test_of_each_image_as_many_vectors_are_learnt_from_whatever_batch_it_comes_in(level: str) -> None:
    config = Config(image_size=32, grid_stride=4, level=level, vectors=50)
    found = torch.randn(10, 64 if level == "patch" else 1, 3, generator=torch.Generator().manual_seed(1))
    whole = vectors.to_learn_from(found, config, 10, seed=4, first=0)
    parts = [
        vectors.to_learn_from(found[at : at + 3], config, 10, seed=4, first=at) for at in range(0, 10, 3)
    ]
    assert whole.shape == (10, 5 if level == "patch" else 1, 3)
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize(
    "settings",
    [
        {"estimator": "gaussian"},
        {"estimator": "inverse_gamma"},
        {"estimator": "nonparametric"},
        {"estimator": "nonparametric", "level": "image"},
    ],
    ids=lambda each: "-".join(each.values()),
)
def test_every_estimate_gives_defects_a_later_time(settings: dict[str, str]) -> None:
    subject = Subject.of("dte", quick={**settings, "steps": 60})
    spoiled, clean = subject.spoiled[0], pictures(16, 32, seed=7)
    detector = subject.straight.detector
    before, after = detector.score(clean), detector.score(spoiled.images)
    assert int((after.images > before.images).sum()) >= 12
    assert (before.maps is None) == (settings.get("level") == "image")
