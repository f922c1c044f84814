"""A number is approximated alike wherever in a batch it stands, and however many threads share the batch."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.determinism import microbatched, using_threads
from ad_detectors.nets.unet import UNet, UNetShape, build_unet
from ad_detectors.rounding import PictureByPicture

UNEVEN = (3, 5)  # threads that cannot share a power of two evenly


def alike(count: int = 8, channels: int = 32) -> Tensor:
    """Return one picture many times."""
    one = torch.randn(1, channels, 32, 32, generator=torch.Generator().manual_seed(1)).abs()
    return one.repeat(count, 1, 1, 1)


def awake(net: UNet) -> UNet:
    """Give the layers that start at zero some weight, so that every block takes part."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0.0, 0.05, generator=generator)
    return net.eval()


@pytest.mark.parametrize("threads", UNEVEN)
@pytest.mark.parametrize(
    "function",
    [F.silu, F.gelu, torch.sigmoid, Tensor.exp, torch.nn.SiLU(inplace=True)],
    ids=["silu", "gelu", "sigmoid", "exp", "in place"],
)
def test_a_function_gives_a_picture_the_same_bits_in_every_place(
    function: Callable[[Tensor], Tensor], threads: int
) -> None:
    with using_threads(threads), torch.no_grad(), PictureByPicture():
        got = function(alike())
    assert torch.equal(got, got[:1].expand_as(got))


@pytest.mark.parametrize("threads", [1, 2, 4, *UNEVEN])
@pytest.mark.parametrize("side", [7, 31, 63, 64])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_silu_gives_a_picture_the_same_bits_however_its_numbers_fill_registers(
    threads: int, side: int, last: bool
) -> None:
    one = torch.randn(1, 6, side, side, generator=torch.Generator().manual_seed(1))
    images = one.repeat(8, 1, 1, 1)
    images = images.contiguous(memory_format=torch.channels_last) if last else images
    with using_threads(threads), torch.no_grad(), PictureByPicture():
        got = F.silu(images)
    assert torch.equal(got, got[:1].expand_as(got))


@pytest.mark.parametrize("threads", UNEVEN)
def test_a_network_gives_a_picture_the_same_bits_in_every_place(threads: int) -> None:
    net = awake(build_unet(UNetShape(image_size=32, base_channels=32, heads=2), seed=0))

    def fn(images: Tensor) -> tuple[Tensor, ...]:
        return (net(images, torch.full((len(images),), 90)),)

    with using_threads(threads), torch.no_grad():
        (got,) = microbatched(fn, alike(channels=3))
    assert torch.equal(got, got[:1].expand_as(got))


def test_results_are_those_of_the_function_and_lie_in_memory_as_its_do() -> None:
    images = alike(channels=5).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = F.gelu(images, approximate="tanh")
        with PictureByPicture():
            got = F.gelu(images, approximate="tanh")
    torch.testing.assert_close(got, expected)
    assert got.stride() == expected.stride()


def test_what_is_asked_for_in_place_is_done_in_place() -> None:
    images = alike()
    expected = F.silu(images)
    with torch.no_grad(), PictureByPicture():
        assert F.silu(images, inplace=True) is images
    torch.testing.assert_close(images, expected)


def test_gradients_flow_as_they_would() -> None:
    images = alike().requires_grad_()
    with PictureByPicture():
        F.silu(images).sum().backward()
    assert images.grad is not None
