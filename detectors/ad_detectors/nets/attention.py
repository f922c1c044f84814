"""Attention (Vaswani et al. 2017, arXiv 1706.03762, eq. 1), by what multiplies fastest."""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.backends import mkl, mkldnn

LEAST_PLACES = 512  # of 256 the calls cost as much as is gained
CPUINFO = Path("/proc/cpuinfo")


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(ch)) v for q, k, v (B, heads, HW, ch), in float32 within.

    Without gradients and on one thread of a CPU where that is faster, oneDNN multiplies, for one image's head
    after the other.
    """
    wide = q.device.type == "cpu" and q.dtype == torch.float32 and q.shape[2] >= LEAST_PLACES
    alone = torch.get_num_threads() == 1 and not torch.is_grad_enabled()
    if wide and alone and halves_registers():
        return _by_heads(q, k, v)
    return F.scaled_dot_product_attention(q, k, v)


@cache
def halves_registers(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether MKL, which the fused kernel multiplies with, uses half of each register of this CPU.

    It does on CPUs of AMD that have AVX-512; oneDNN, which convolves, uses all of it.
    """
    there = (mkl.is_available(), mkldnn.is_available())  # type: ignore[no-untyped-call]
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not all(there):
        return False
    try:
        return "AuthenticAMD" in cpuinfo.read_text()
    except OSError:
        return False


def _by_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, heads, places, channels = q.shape
    # Places before heads, as the projection that follows reads them.
    mixed = q.new_empty(batch, places, heads, channels).transpose(1, 2)
    scaled = k / math.sqrt(channels)
    for at in product(range(batch), range(heads)):
        likeness = F.linear(q[at].to_mkldnn(), scaled[at].to_mkldnn())
        shares = torch.softmax(likeness, dim=-1)
        mixed[at] = F.linear(shares, v[at].t().contiguous().to_mkldnn()).to_dense()
    return mixed
