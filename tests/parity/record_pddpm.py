"""Record what the published patched DDPM computes: python tests/parity/record_pddpm.py FOLDER.

The folder holds github.com/FinnBehrendt/patched-Diffusion-Models-UAD at commit da14cd0b; einops must be
installed beside torch. What else it imports is of no use here and is stood in for by empty modules. None of
its code is copied: only numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import ddad_parity_cases as drawing  # noqa: E402
import pddpm_parity_cases as cases  # noqa: E402
from ad_detectors.nets import unet_keys  # noqa: E402
from ad_detectors.nets.unet import empty_unet  # noqa: E402


class Answers(nn.Module):
    """Stands where the network does, and answers as the test's does."""

    def forward(self, x: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        return x.sin() + x.mean(dim=(1, 2, 3), keepdim=True) * t.float()[:, None, None, None] / 1000


def stand_in(name: str, **offers: Any) -> None:
    for depth, _ in enumerate(name.split("."), 1):
        sys.modules.setdefault(".".join(name.split(".")[:depth]), ModuleType(name))
    for key, value in offers.items():
        setattr(sys.modules[name], key, value)


def process(**given: Any) -> Any:
    from src.models.modules.cond_DDPM import GaussianDiffusion

    return GaussianDiffusion(
        Answers(),
        image_size=(cases.SIDE, cases.SIDE),
        channels=1,
        objective="pred_x0",
        inpaint=True,
        cfg=Settings(),
        **given,
    )


class Settings(dict):  # type: ignore[type-arg]
    """Their settings: a mapping whose keys are attributes too."""

    noisetype = "given"


def network() -> Iterator[tuple[str, Tensor]]:
    from src.models.modules.OpenAI_Unet import UNetModel

    shape = cases.SHAPE
    net = UNetModel(
        image_size=cases.SIDE,
        in_channels=1,
        model_channels=shape.base_channels,
        out_channels=1,
        num_res_blocks=shape.residual_blocks,
        attention_resolutions=(6, 12, 24),
        channel_mult=(1, 2, 2),
        num_heads=1,
        num_head_channels=64,
        use_scale_shift_norm=True,
        resblock_updown=True,
        use_new_attention_order=True,
        use_spatial_transformer=False,
    )
    tensors = drawing.weights(empty_unet(shape).state_dict(), "pddpm")
    theirs = unet_keys.renamed(tensors, "guided")
    net.load_state_dict({name: _reordered(name, tensor) for name, tensor in theirs.items()})
    x = drawing.normal("pddpm/x", (len(cases.TIMES), 1, cases.SIDE, cases.SIDE))
    with torch.no_grad():
        yield "network", net.eval()(x, torch.tensor(cases.TIMES))


def _reordered(name: str, tensor: Tensor) -> Tensor:
    """Sort the rows of q, k and v, which are ours by head, by what they are: their "new attention order"."""
    if ".qkv." not in name:
        return tensor
    heads = len(tensor) // 3 // 64
    return tensor.reshape(heads, 3, 64, *tensor.shape[1:]).transpose(0, 1).reshape(tensor.shape)


def losses() -> Iterator[tuple[str, Tensor]]:
    from src.utils.patch_sampling import BoxSampler

    images, noise = drawn()
    boxes = BoxSampler({"patch_size": cases.PATCH}).sample_grid(images)
    yield "boxes", boxes[0].float()
    for kind in ("l1", "l2"):
        diffusion = process(loss_type=kind)
        for t in cases.STEPS:
            loss, _ = diffusion(images, t=t, box=boxes[:, 2], noise=noise)
            yield f"loss-{kind}-{t}", loss[None]


def drawn() -> tuple[Tensor, Tensor]:
    shape = (cases.SLICES, 1, cases.SIDE, cases.SIDE)
    return drawing.normal("pddpm/images", shape).sigmoid(), drawing.normal("pddpm/noise", shape)


def stitched() -> Iterator[tuple[str, Tensor]]:
    from src.models import DDPM_2D_patched as published

    images, noise = drawn()
    made: list[Tensor] = []
    published.gen_noise = lambda cfg, shape: noise
    published._test_step = lambda this, volume, *rest: made.append(volume)
    for overlap in ({}, {"overlap": True, "agg_overlap": "cut"}, {"overlap": True, "agg_overlap": "avg"}):
        cfg = Settings(patch_size=cases.PATCH, noisetype="given", **overlap)
        scores: Any = {"latentSpace": [], "AnomalyScoreRegPerVol": []}
        this = SimpleNamespace(
            cfg=cfg,
            device="cpu",
            boxes=published.BoxSampler(cfg),
            test_timesteps=cases.TESTED,
            diffusion=process(),
            latentSpace_slice=[],
            eval_dict=scores,
        )
        volume = {"data": images.permute(1, 2, 3, 0)[None]}  # slices are their depth
        known = dict.fromkeys(("ID", "age", "stage", "label", "Dataset"), "")
        batch = {"vol": volume, "vol_orig": volume, "mask_orig": volume, "seg_available": False, **known}
        published.DDPM_2D.test_step(this, batch, 0)
        yield f"stitched-{overlap.get('agg_overlap', 'plain')}", made[-1][0, 0].permute(2, 0, 1)[:, None]


def main(folder: Path) -> None:
    def passed(*given: Any, **named: Any) -> Any:
        return given[0] if given and callable(given[0]) else lambda function: function

    stand_in("numba", njit=passed, prange=range)
    stand_in("ema_pytorch", EMA=None)
    stand_in("accelerate", Accelerator=None)
    stand_in("torchio", DATA="data")
    stand_in("pytorch_lightning.core.lightning", LightningModule=nn.Module)
    stand_in("torchvision", transforms=None, utils=None)
    sys.path.insert(0, str(folder))
    stand_in("src.utils.utils_eval", _test_step=None, _test_end=None, get_eval_dictionary=None)
    for name in ("src", "src.utils"):
        sys.modules.pop(name)
    parts = (network, losses, stitched)
    recorded = {name: drawing.summary(found) for part in parts for name, found in part()}
    np.savez_compressed(cases.RECORDING, **recorded)
    print(f"{cases.RECORDING}: {len(recorded)} tensors, {cases.RECORDING.stat().st_size} bytes")
    for name, numbers in recorded.items():
        print(f"{name:24} {numbers[0]:.6g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
