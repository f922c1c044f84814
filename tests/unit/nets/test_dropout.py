"""Dropout drops the share it is told, at random and reproducibly, and keeps the mean."""

import pytest
import torch

from ad_detectors.determinism import using_threads
from ad_detectors.nets.dropout import LEVELS, dropout, kept_at_random

CPU = torch.device("cpu")
SHAPE = (4, 32, 32, 32)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_the_share_that_is_told_is_dropped(share: float) -> None:
    torch.manual_seed(0)
    kept = kept_at_random(SHAPE, share, CPU)
    assert kept.shape == SHAPE
    assert kept.dtype == torch.bool
    assert kept.is_contiguous(memory_format=torch.channels_last)
    deviation = (share * (1 - share) / kept.numel()) ** 0.5
    assert abs(float((~kept).float().mean()) - share) <= 4 * deviation + 1 / LEVELS


def test_every_place_has_a_choice_of_its_own() -> None:
    torch.manual_seed(1)
    kept = torch.stack([kept_at_random((1, 4, 8, 8), 0.5, CPU)[0] for _ in range(400)]).float()
    assert float((kept.mean(0) - 0.5).abs().max()) < 0.13  # 5 deviations
    flat = kept.flatten(1) - 0.5
    together = flat.T @ flat / len(flat) * 4  # correlations of all pairs of places
    assert float((together - torch.eye(len(together))).abs().max()) < 0.3


def test_the_generator_alone_decides() -> None:
    drawn = []
    for threads in (1, 2):
        with using_threads(threads):
            torch.manual_seed(5)
            drawn.append([kept_at_random(shape, 0.3, CPU) for shape in (SHAPE, (1, 32, 3, 5))])
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))
    assert not torch.equal(drawn[0][0], kept_at_random(SHAPE, 0.3, CPU))


def test_what_stays_is_made_larger_so_that_the_mean_stays() -> None:
    torch.manual_seed(2)
    x = torch.rand(SHAPE).requires_grad_()
    kept = kept_at_random(SHAPE, 0.3, CPU)
    result = dropout(x, kept, 0.3)
    torch.testing.assert_close(result, torch.where(kept, x / 0.7, 0.0), rtol=1e-4, atol=0.0)
    assert float(result.detach().mean()) == pytest.approx(float(x.detach().mean()), rel=0.02)
    result.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, kept / 0.7, rtol=1e-4, atol=0.0)
