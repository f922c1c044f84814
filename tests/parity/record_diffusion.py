"""Record what published diffusion code computes: python tests/parity/record_diffusion.py ANODDPM GUIDED.

The folders hold github.com/Julian-Wyatt/AnoDDPM at commit 3052f044 and github.com/openai/guided-diffusion at
commit 22e0df81; numba and matplotlib must be installed beside torch. None of their code is copied: only
numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import ddad_parity_cases as drawing  # noqa: E402
import diffusion_parity_cases as cases  # noqa: E402
from ad_detectors.nets import unet_keys  # noqa: E402
from ad_detectors.nets.unet import UNetShape, empty_unet  # noqa: E402


def answered(net: Any, name: str, shape: UNetShape, style: unet_keys.Style) -> Tensor:
    tensors = drawing.weights(empty_unet(shape).state_dict(), name)
    net.load_state_dict(unet_keys.renamed(tensors, style))
    count, size = cases.images_of(shape), shape.image_size
    x = drawing.normal(f"{name}/x", (count, shape.in_channels, size, size))
    with torch.no_grad():
        return net.eval()(x, torch.tensor(cases.TIMES[:count]))  # type: ignore[no-any-return]


def anoddpm_networks() -> Iterator[tuple[str, Tensor]]:
    from UNet import UNetModel

    for name, shape in cases.ANODDPM.items():
        net = UNetModel(
            shape.image_size, shape.base_channels, n_heads=shape.heads, in_channels=shape.in_channels
        )
        yield name, answered(net, name, shape, "anoddpm")


def guided_networks() -> Iterator[tuple[str, Tensor]]:
    from guided_diffusion.unet import UNetModel

    for name, shape in cases.GUIDED.items():
        net = UNetModel(
            image_size=shape.image_size,
            in_channels=3,
            model_channels=shape.base_channels,
            out_channels=6,
            num_res_blocks=shape.residual_blocks,
            attention_resolutions=tuple(sorted(shape.attention_factors)),
            channel_mult=tuple(width // shape.base_channels for width in shape.widths),
            num_head_channels=shape.head_channels,
            use_scale_shift_norm=True,
            resblock_updown=True,
        )
        yield name, answered(net, name, shape, "guided")


def anoddpm_process() -> Iterator[tuple[str, Tensor]]:
    from GaussianDiffusion import GaussianDiffusionModel, get_beta_schedule

    for kind in ("linear", "cosine"):
        betas = get_beta_schedule(cases.OTHER_STEPS, kind)
        yield f"{kind}-{cases.OTHER_STEPS}", torch.from_numpy(np.cumprod(1 - betas))
    process = GaussianDiffusionModel((8, 8), get_beta_schedule(1000, "linear"), noise="gauss")
    for t in cases.STEPS:
        x, noise = (drawing.normal(f"step-{t}/{what}", (1, 1, 8, 8)) for what in ("x", "noise"))
        with torch.no_grad():
            at = torch.tensor([t])
            found = process.sample_p(lambda x, t: x.sin(), x, at, lambda x, t, noise=noise: noise)
            yield f"anoddpm-step-{t}", found["sample"]
            yield f"anoddpm-noised-{t}", process.sample_q(x, at, noise)


def guided_process() -> Iterator[tuple[str, Tensor]]:
    from guided_diffusion import gaussian_diffusion as published

    process = published.GaussianDiffusion(
        betas=published.get_named_beta_schedule("linear", 1000),
        model_mean_type=published.ModelMeanType.EPSILON,
        model_var_type=published.ModelVarType.LEARNED_RANGE,
        loss_type=published.LossType.MSE,
    )

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x.sin(), x.cos()], dim=1)

    like = torch.randn_like
    for t in cases.STEPS:
        x, noise = (drawing.normal(f"step-{t}/{what}", (1, 3, 8, 8)) for what in ("x", "noise"))
        torch.randn_like = lambda *_, noise=noise, **__: noise
        at = torch.tensor([t])
        yield f"guided-ddpm-{t}", process.p_sample(model, x, at)["sample"]
        yield f"guided-ddim-{t}", process.ddim_sample(model, x, at, eta=0.7)["sample"]
        yield f"guided-encoded-{t}", process.ddim_reverse_sample(model, x, at)["sample"]
    torch.randn_like = like


def simplex() -> Iterator[tuple[str, Tensor]]:
    from simplex import Simplex_CLASS

    shape = (cases.SIMPLEX_SIZE, cases.SIMPLEX_SIZE)
    for seed in cases.SIMPLEX_SEEDS:
        source = Simplex_CLASS()
        source.newSeed(seed)
        for t in cases.SIMPLEX_TIMES:
            field = source.rand_3d_fixed_T_octaves(shape, np.array([t]), 6, 0.8, 64)
            yield f"simplex-{seed}-{t}", torch.from_numpy(field)


def statistics() -> Iterator[tuple[str, Tensor]]:
    from simplex import Simplex_CLASS

    stds, source = [], Simplex_CLASS()
    for seed in cases.SIMPLEX_FIELDS:
        source.newSeed(seed)
        stds.append(source.rand_3d_fixed_T_octaves((256, 256), np.array([249]), 6, 0.8, 64).std())
    yield "simplex-std", torch.tensor(stds)


def main(anoddpm: Path, guided: Path) -> None:
    sys.modules.setdefault("evaluation", ModuleType("evaluation"))  # asked for, and of no use here
    sys.path[:0] = [str(anoddpm), str(guided)]
    parts = (anoddpm_networks, guided_networks, anoddpm_process, guided_process, simplex, statistics)
    recorded = {name: drawing.summary(tensor) for part in parts for name, tensor in part()}
    np.savez_compressed(cases.RECORDING, **recorded)
    print(f"{cases.RECORDING}: {len(recorded)} tensors, {cases.RECORDING.stat().st_size} bytes")
    for name, numbers in recorded.items():
        print(f"{name:28} {numbers[0]:.6g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
