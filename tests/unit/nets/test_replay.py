"""Calls that are recorded as CUDA graphs: the same results, whatever becomes of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ad_detectors.nets.replay import replayed


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 3, 3)).eval()


def some(count: int = 2, size: int = 9) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count * size))


def test_on_a_cpu_nothing_is_recorded(net: nn.Module) -> None:
    calls: list[int] = []

    def call(x: Tensor) -> Tensor:
        calls.append(len(x))
        return net(x)

    run = replayed(net, call, "plain")
    with torch.no_grad():
        for _ in range(3):
            assert torch.equal(run(some()), net(some()))
    assert calls == [2, 2, 2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_a_card_a_recording_is_replayed_and_sees_what_weights_and_inputs_become(net: nn.Module) -> None:
    net.to("cuda")
    calls: list[int] = []

    def call(x: Tensor) -> Tensor:
        calls.append(len(x))
        return net(x)

    def check(x: Tensor) -> None:
        got = run(x.cuda())
        torch.testing.assert_close(got, net(x.cuda()))

    run = replayed(net, call, "plain")
    with torch.no_grad():
        for x in (some(), 2 * some(), some() - 1):
            check(x)
        recorded = len(calls)
        assert recorded == 3, "two to warm up, one to record"
        first, second = run(some().cuda()), run(2 * some().cuda())
        assert not torch.equal(first, second), "what was given out is not written over"
        net[0].weight.mul_(0.5)
        check(some())
        assert len(calls) == recorded
        check(some(5))
        net.load_state_dict({k: v.clone() for k, v in net.state_dict().items()}, assign=True)
        net[0].weight.data.add_(1)
        check(some())
        assert len(calls) > recorded
    run(some().cuda()).sum().backward()
    assert net[0].weight.grad is not None, "with gradients it is called as it stands"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_what_cannot_be_recorded_is_called(net: nn.Module) -> None:
    net.to("cuda")

    def asks(x: Tensor) -> Tensor:
        return net(x) * float(x.sum().item() > 0)

    run = replayed(net, asks, "asks")
    with torch.no_grad():
        with pytest.warns(RuntimeWarning, match="without a CUDA graph"):
            got = run(some().cuda())
        torch.testing.assert_close(got, net(some().cuda()))
        torch.testing.assert_close(run(some(3).cuda()), net(some(3).cuda()))
