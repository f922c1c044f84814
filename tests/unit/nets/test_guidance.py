"""What guidance promises: the way back undoes the way out, and a gradient leads each image up its own way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ad_detectors.determinism import using_threads
from ad_detectors.diffusion import guidance, schedule
from ad_detectors.diffusion.chains import Sampling, denoise, encode
from ad_detectors.diffusion.guidance import gradients, guided
from ad_detectors.diffusion.strides import strided
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import UNetShape, build_unet, empty_unet
from ad_detectors.nets.unet_classifier import UNetClassifier

PROCESS = schedule.linear(dtype=torch.float64)
MEAN, DEVIATION = 0.3, 0.2
FREE = Sampling(schedule=PROCESS, sampler="ddim", clip=False)
SMALL = UNetShape(
    image_size=32,
    base_channels=32,
    multipliers=(1, 2),
    residual_blocks=1,
    attention_divisors=(),
    head_channels=64,
    out_channels=2,
)


def knows(x: Tensor, t: Tensor) -> Tensor:
    """Name the noise in numbers of a normal distribution, as exactly as can be."""
    abar = PROCESS.of(t).to(x.dtype)[:, None, None, None]
    return (1 - abar).sqrt() * (x - abar.sqrt() * MEAN) / (abar * DEVIATION**2 + 1 - abar)


def drawn(count: int = 2, side: int = 8) -> Tensor:
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    return MEAN + DEVIATION * noise.double()


def there_and_back(images: Tensor, level: int, skip: int) -> Tensor:
    steps = strided(level - 1, skip)
    noise = encode(knows, images, steps[::-1], FREE)
    back = guided(knows, lambda x, t: torch.zeros_like(x), PROCESS, clip=False)
    return denoise(back, noise, [steps] * len(images), FREE, torch.zeros_like)


def test_without_guidance_the_way_back_undoes_the_way_out_the_better_the_shorter_the_steps() -> None:
    images = drawn()
    apart = [float((there_and_back(images, 500, skip) - images).abs().max()) for skip in (20, 10, 5)]
    assert apart[0] < 0.2
    assert apart[1] < 0.7 * apart[0]
    assert apart[2] < 0.7 * apart[1]


def test_guidance_brings_numbers_to_where_the_gradient_says() -> None:
    images, steps = drawn(), strided(499, 10)
    noise = encode(knows, images, steps[::-1], FREE)

    def brighter(x: Tensor, t: Tensor) -> Tensor:
        return torch.ones_like(x)

    found = [
        denoise(guided(knows, up, PROCESS, clip=False), noise, [steps] * 2, FREE, torch.zeros_like).mean()
        for up in (lambda x, t: torch.zeros_like(x), brighter)
    ]
    assert found[1] > found[0] + 0.01


def test_the_clean_estimate_is_clipped_before_guidance_and_not_after_it() -> None:
    x, t = torch.full((1, 3, 4, 4), 5.0), torch.tensor([100])
    abar = PROCESS.of(t).float()
    clipped = guided(lambda x, t: torch.zeros_like(x), lambda x, t: torch.zeros_like(x), PROCESS)(x, t)
    torch.testing.assert_close(clipped, (x - abar.sqrt()) / (1 - abar).sqrt())
    moved = guided(lambda x, t: torch.zeros_like(x), lambda x, t: torch.ones_like(x), PROCESS)(x, t)
    torch.testing.assert_close(moved, clipped - (1 - abar).sqrt())


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_gradient_is_the_images_own_and_leads_up(
    small: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guidance, "SMALL", guidance.SMALL if small else 0)
    torch.manual_seed(0)
    net = UNetClassifier(SMALL).requires_grad_(False).eval()
    x, t = torch.randn(1, 3, 32, 32).repeat(8, 1, 1, 1), torch.tensor([40] * 8)

    def chance(x: Tensor, t: Tensor) -> Tensor:
        return net(x, t).log_softmax(dim=1)[:, 0]  # type: ignore[no-any-return]

    with torch.no_grad(), using_threads(threads):
        found = gradients(chance, x, t)
        assert torch.get_num_threads() == threads
        assert not found.requires_grad
        assert all(torch.equal(each, found[0]) for each in found)
        step = 0.05 * found / found.norm()
        assert bool((chance(x + step, t) > chance(x, t)).all())
        assert bool((chance(x - step, t) < chance(x, t)).all())


def test_the_networks_that_know_classes_have_the_published_parameters_and_names() -> None:
    denoiser = UNetShape(
        image_size=256,
        base_channels=128,
        in_channels=4,
        out_channels=8,
        attention_divisors=(16,),
        cosine_first=True,
        resampling="convolution",
        classes=2,
    )
    classifier = UNetShape(
        image_size=256,
        base_channels=32,
        in_channels=4,
        out_channels=2,
        head_channels=64,
        residual_blocks=4,
        scale_shift=True,
        cosine_first=True,
    )
    with torch.device("meta"):
        judge = UNetClassifier(classifier)
    tensors = [empty_unet(denoiser).state_dict(), judge.state_dict()]
    assert [sum(each.numel() for each in state.values()) for state in tensors] == [113_681_160, 5_452_962]
    names = [unet_keys.renamed(state, "guided") for state in tensors]
    assert tuple(names[0]["label_emb.weight"].shape) == (2, 512)
    assert {"input_blocks.3.0.op.weight", "output_blocks.2.1.conv.bias"} <= names[0].keys()
    assert {"out.2.positional_embedding", "out.2.qkv_proj.weight", "out.2.c_proj.bias"} <= names[1].keys()


def test_a_network_is_told_its_class_or_its_conditions_or_refuses() -> None:
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([5, 5])
    for shape, given in (
        ({"classes": 2}, (torch.tensor([0, 0]), torch.tensor([1, 1]))),
        ({"conditions": 4}, (torch.zeros(2, 4), torch.ones(2, 4))),
    ):
        kept = {"image_size": 32, "base_channels": 32, "multipliers": (2,), "residual_blocks": 1}
        net = build_unet(UNetShape(**kept, attention_divisors=(), **shape), 1)  # type: ignore[arg-type]
        torch.nn.init.normal_(net.out[2].weight, std=0.1)
        torch.nn.init.normal_(net.down[1][0].out_layers[3].weight, std=0.1)  # type: ignore[index, union-attr]
        with torch.no_grad():
            assert not torch.allclose(net(x, t, given[0]), net(x, t, given[1]), atol=1e-4)
            with pytest.raises(ValueError, match="must be told a class or conditions"):
                net(x, t)
