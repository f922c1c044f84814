"""Record what guided-diffusion computes of classes: python tests/parity/record_guidance.py GUIDED.

The folder holds github.com/openai/guided-diffusion at commit 22e0df81. A copy of it is what
github.com/JuliaWolleb/diffusion-anomaly (commit 509643c3) builds its networks from, but there
guided_diffusion/unet.py lacks a bracket and cannot be imported; its guided step is the same. None of their
code is copied: only numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import ddad_parity_cases as drawing  # noqa: E402
import guidance_parity_cases as cases  # noqa: E402
from ad_detectors.nets import unet_keys  # noqa: E402
from ad_detectors.nets.unet import UNet, UNetShape  # noqa: E402
from ad_detectors.nets.unet_classifier import UNetClassifier  # noqa: E402


def weights(kind: type[UNet | UNetClassifier], shape: UNetShape, name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        like = kind(shape).state_dict()
    return unet_keys.renamed(drawing.weights(like, name), "guided")


def networks() -> tuple[Any, Any]:
    from guided_diffusion.unet import EncoderUNetModel, UNetModel

    def of(shape: UNetShape) -> dict[str, Any]:
        return {
            "image_size": shape.image_size,
            "in_channels": 3,
            "model_channels": shape.base_channels,
            "num_res_blocks": shape.residual_blocks,
            "attention_resolutions": tuple(sorted(shape.attention_factors)),
            "channel_mult": tuple(width // shape.base_channels for width in shape.widths),
            "use_scale_shift_norm": shape.scale_shift,
            "resblock_updown": shape.resampling == "block",
        }

    denoiser = UNetModel(**of(cases.DENOISER), out_channels=3, num_classes=2, num_heads=1)
    denoiser.load_state_dict(weights(UNet, cases.DENOISER, "denoiser"))
    classifier = EncoderUNetModel(
        **of(cases.CLASSIFIER), out_channels=2, num_head_channels=64, pool="attention"
    )
    classifier.load_state_dict(weights(UNetClassifier, cases.CLASSIFIER, "classifier"))
    return denoiser.eval(), classifier.eval()


def computed() -> Iterator[tuple[str, Tensor]]:
    from guided_diffusion import gaussian_diffusion as published

    denoiser, classifier = networks()
    size = cases.DENOISER.image_size
    x = drawing.normal("guidance/x", (2, 3, size, size))
    times, classes = torch.tensor(cases.TIMES), torch.tensor(cases.CLASSES)
    with torch.no_grad():
        yield "denoiser", denoiser(x, times, classes)
        yield "classifier", classifier(x, times)
    process = published.GaussianDiffusion(
        betas=published.get_named_beta_schedule("linear", 1000),
        model_mean_type=published.ModelMeanType.EPSILON,
        model_var_type=published.ModelVarType.FIXED_LARGE,
        loss_type=published.LossType.MSE,
    )
    normal = torch.zeros(2, dtype=torch.int64)

    def towards_normal(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            image = x.detach().requires_grad_(True)
            chance = F.log_softmax(classifier(image, t), dim=-1)[range(len(y)), y]
            return torch.autograd.grad(chance.sum(), image)[0] * cases.GUIDANCE

    for t in cases.STEPS:
        at = torch.full((2,), t)
        with torch.no_grad():
            found = process.ddim_sample(denoiser, x, at, cond_fn=towards_normal, model_kwargs={"y": normal})
            out = process.ddim_reverse_sample(denoiser, x, at, model_kwargs={"y": normal})
        yield f"gradient-{t}", towards_normal(x, at, normal)
        yield f"guided-{t}", found["sample"]
        yield f"encoded-{t}", out["sample"]


def main(guided: Path) -> None:
    sys.path.insert(0, str(guided))
    recorded = {name: drawing.summary(tensor) for name, tensor in computed()}
    np.savez_compressed(cases.RECORDING, **recorded)
    print(f"{cases.RECORDING}: {len(recorded)} tensors, {cases.RECORDING.stat().st_size} bytes")
    for name, numbers in recorded.items():
        print(f"{name:16} {numbers[0]:.6g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
