"""Record what the published DiffAD computes: python tests/parity/record_diffad.py DIFFAD.

The folder holds github.com/xzhang-t/DiffAD at commit 0c39d44b; einops must be installed beside torch. None of
its code is copied: only numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import ddad_parity_cases as drawing  # noqa: E402
import diffad_parity_cases as cases  # noqa: E402
from ad_detectors.zoo.diffad.autoencoder import KLAutoencoder  # noqa: E402
from ad_detectors.zoo.diffad.segmenter import Segmenter  # noqa: E402

OF_RESIDUAL = {
    "layers.0": "norm1",
    "layers.2": "conv1",
    "layers.3": "norm2",
    "layers.6": "conv2",
    "past": "nin_shortcut",
}


def places(decodes: bool) -> list[str]:
    """Return what the published code calls each layer of our sequence, without inner names."""
    shape, blocks = cases.SHAPE, cases.SHAPE.residual_blocks + decodes
    levels = range(len(shape.multipliers))
    middle = ["mid.block_1", "mid.attn_1", "mid.block_2"]
    body: list[str] = []
    for level in reversed(levels) if decodes else levels:
        side = f"{'up' if decodes else 'down'}.{level}"
        body += [f"{side}.block.{number}" for number in range(blocks)]
        if level != (0 if decodes else levels[-1]):
            body.append(f"{side}.{'upsample' if decodes else 'downsample'}")
    body = [*middle, *body] if decodes else [*body, *middle]
    return ["conv_in", *body, "norm_out", "", "conv_out"]


def published(ours: dict[str, Tensor], decodes: bool) -> dict[str, Tensor]:
    """Return half of an autoencoder under the names of the published code."""
    found: dict[str, Tensor] = {}
    known = places(decodes)
    for name, tensor in ours.items():
        number, _, inner = name.partition(".")
        inner, _, kind = inner.rpartition(".")
        at = known[int(number)]
        if inner == "to_qkv":
            for part, each in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{at}.{part}.{kind}"] = each
            continue
        renamed = {**OF_RESIDUAL, "convolution": "conv", "norm": "norm", "out": "proj_out"}.get(inner, "")
        found[".".join(filter(None, (at, renamed, kind)))] = tensor
    return found


def halves() -> Iterator[tuple[str, Tensor]]:
    from rec_network.modules.diffusionmodules.model import Decoder, Encoder

    shape, size = cases.SHAPE, cases.SHAPE.image_size
    settings = {
        "ch": shape.base_channels,
        "out_ch": 3,
        "ch_mult": shape.multipliers,
        "num_res_blocks": shape.residual_blocks,
        "attn_resolutions": [],
        "in_channels": 3,
        "resolution": size,
        "z_channels": shape.channels,
    }
    tensors = drawing.weights(KLAutoencoder(shape).state_dict(), "autoencoder")
    encoder, decoder = Encoder(**settings).eval(), Decoder(**settings).eval()
    for net, prefix, decodes in ((encoder, "encoder.0.", False), (decoder, "decoder.1.", True)):
        half = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        net.load_state_dict(published(half, decodes))
    x = drawing.normal("x", (cases.COUNT, 3, size, size))
    z = drawing.normal("z", (cases.COUNT, shape.channels, shape.side, shape.side))
    with torch.no_grad():
        moments = torch.conv2d(encoder(x), *(tensors[f"encoder.1.{kind}"] for kind in ("weight", "bias")))
        yield "encoded", moments
        after = torch.conv2d(z, *(tensors[f"decoder.0.{kind}"] for kind in ("weight", "bias")))
        yield "decoded", decoder(after)
    from rec_network.modules.distributions.distributions import DiagonalGaussianDistribution

    yield "divergence", DiagonalGaussianDistribution(moments).kl()


def segmented() -> Iterator[tuple[str, Tensor]]:
    from loss import FocalLoss
    from model_unet import DiscriminativeSubNetwork

    tensors = drawing.weights(Segmenter(cases.CHANNELS, cases.BASE).state_dict(), "segmenter")
    first, second = ["up_b", "up1", "up2", "up3", "up4"], ["db_b", "db1", "db2", "db3", "db4"]
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        part, number, *rest = name.split(".")
        if part == "out":
            named[f"decoder_segment.fin_out.0.{number}"] = tensor
        elif part == "down":
            named[".".join(["encoder_segment", f"block{int(number) + 1}", *rest])] = tensor
        elif part == "merge":
            named[".".join(["decoder_segment", second[int(number)], *rest])] = tensor
        else:  # theirs begins with the enlargement
            inner = [str(int(rest[0]) + 1), *rest[1:]]
            named[".".join(["decoder_segment", first[int(number)], *inner])] = tensor
    net = DiscriminativeSubNetwork(cases.CHANNELS, 2, cases.BASE).eval()
    net.load_state_dict(named)
    size = cases.SHAPE.image_size
    x = drawing.normal("seen", (cases.COUNT, cases.CHANNELS, size, size))
    masks = (drawing.normal("mask", (cases.COUNT, 1, size, size)) > 1.0).float()
    with torch.no_grad():
        chances = torch.softmax(net(x), dim=1)
        yield "segmented", chances[:, 1]
        yield "focal", FocalLoss()(chances, masks)[None]
        pooled = torch.nn.functional.avg_pool2d(chances[:, 1:], cases.POOL, 1, cases.POOL // 2)
        yield "scores", pooled.amax((1, 2, 3))


def schedule() -> Iterator[tuple[str, Tensor]]:
    from rec_network.modules.diffusionmodules.util import make_beta_schedule

    betas = torch.as_tensor(make_beta_schedule("linear", 1000, linear_start=0.0015, linear_end=0.02))
    yield "abar", torch.cumprod(1.0 - betas, 0)


def main(folder: Path) -> None:
    sys.path[:0] = [str(folder), str(folder / "seg_network")]
    parts = (halves, segmented, schedule)
    recorded = {name: drawing.summary(tensor) for part in parts for name, tensor in part()}
    np.savez_compressed(cases.RECORDING, **recorded)
    print(f"{cases.RECORDING}: {len(recorded)} tensors, {cases.RECORDING.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
