"""Attention is what the fused kernel computes, whoever multiplies."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.determinism import using_threads
from ad_detectors.nets import attention as module
from ad_detectors.nets.attention import LEAST_PLACES, attention, halves_registers


def asked(places: int = LEAST_PLACES, batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v as a projection leaves them: side by side, with large likenesses among them."""
    made = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, batch, places, 2, 16, generator=made).transpose(2, 3)
    return 5 * q, k, v


@pytest.fixture
def by_heads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let oneDNN multiply on any CPU, and count how often."""
    counted: list[int] = []
    real = module._by_heads

    def counting(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        counted.append(len(q))
        return real(q, k, v)

    monkeypatch.setattr(module, "halves_registers", lambda: True)
    monkeypatch.setattr(module, "_by_heads", counting)
    return counted


def test_by_heads_it_is_what_the_fused_kernel_computes(by_heads: list[int]) -> None:
    q, k, v = asked()
    with using_threads(1), torch.no_grad():
        got = attention(q, k, v)
    assert by_heads == [3]
    expected = F.scaled_dot_product_attention(*(each.double() for each in (q, k, v)))
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)


def test_by_heads_an_image_has_the_same_bits_in_any_company(by_heads: list[int]) -> None:
    q, k, v = asked()
    with using_threads(1), torch.no_grad():
        together = attention(q, k, v)
        alone = attention(q[1:2], k[1:2], v[1:2])
    assert len(by_heads) == 2
    assert torch.equal(together[1:2], alone)


def test_the_fused_kernel_does_what_others_would_not_do_faster(by_heads: list[int]) -> None:
    with using_threads(1):
        attention(*asked())  # gradients may be wanted
        with torch.no_grad():
            attention(*asked(places=LEAST_PLACES - 1))
            attention(*(each.bfloat16() for each in asked()))
    with using_threads(2), torch.no_grad():
        attention(*asked())
    assert by_heads == []


@pytest.mark.parametrize(
    ("vendor", "capability", "halves"),
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
        (None, "AVX512", False),
    ],
)
def test_registers_are_halved_on_one_makers_cpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendor: str | None, capability: str, halves: bool
) -> None:
    file = tmp_path / "cpuinfo"
    if vendor is not None:
        file.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert halves_registers(file) is halves
