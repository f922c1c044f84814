"""Group norm is torch's, with a gradient of its own where torch's is slow."""

import pytest
import torch
from torch import Tensor, nn

from ad_detectors.nets.group_norm import GROUPS, GroupNorm32

SHAPES = [(2, 32, 16, 16), (3, 96, 8, 8), (1, 64, 5, 7), (2, 224, 4, 4), (4, 128, 1, 1)]


def normed(norm: nn.Module, x: Tensor, of: Tensor) -> tuple[Tensor, ...]:
    """Return the result, and the gradients of x, weight and bias when `of` is that of the result."""
    x = x.detach().requires_grad_()
    result = norm(x)
    return result.detach(), *torch.autograd.grad(result, [x, *norm.parameters()], of)


def pair(channels: int) -> tuple[GroupNorm32, nn.GroupNorm]:
    ours, torchs = GroupNorm32(channels), nn.GroupNorm(GROUPS, channels, eps=1e-5)
    with torch.no_grad():
        for weights in ours.parameters():
            weights.normal_(1.0, 0.5, generator=torch.Generator().manual_seed(channels))
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs.double()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", SHAPES)
def test_result_and_gradients_are_those_of_torch(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    ours, torchs = pair(shape[1])
    made = torch.Generator().manual_seed(7)
    x, of = (torch.randn(shape, generator=made) * 3 + 1 for _ in range(2))
    found = normed(ours, x.contiguous(memory_format=layout), of)
    expected = normed(torchs, x.double(), of.double())
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_a_gradient_that_lies_otherwise_is_taken_too() -> None:
    ours, torchs = pair(64)
    x = torch.randn(2, 64, 6, 6, generator=torch.Generator().manual_seed(1))
    of = torch.randn(2, 64, 1, 1, generator=torch.Generator().manual_seed(2)).expand_as(x)
    found = normed(ours, x.contiguous(memory_format=torch.channels_last), of)
    for mine, other in zip(found, normed(torchs, x.double(), of.double()), strict=True):
        torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=1e-3)


def test_a_gradient_of_the_gradient_is_refused_rather_than_wrong() -> None:
    norm, x = GroupNorm32(32), torch.randn(1, 32, 4, 4).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    (first,) = torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_half_precision_is_normed_in_full_and_comes_back_as_it_was() -> None:
    x = torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(3))
    ours = GroupNorm32(32)
    assert ours(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(ours(x.bfloat16()).float(), ours(x.bfloat16().float()), rtol=1e-2, atol=1e-2)
