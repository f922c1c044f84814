"""One U-Net takes the checkpoints of three families: by their exact names, and by nothing less."""

import pytest
import torch
from torch import Tensor

from ad_detectors.errors import StateError
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import UNetShape, build_unet, empty_unet

GUIDED = UNetShape(
    image_size=256,
    base_channels=256,
    head_channels=64,
    out_channels=6,
    scale_shift=True,
    cosine_first=True,
)
SMALL = UNetShape(
    image_size=32,
    base_channels=32,
    head_channels=32,
    out_channels=6,
    scale_shift=True,
    cosine_first=True,
    multipliers=(1, 2),
    residual_blocks=1,
)
ANODDPM = UNetShape(image_size=256, base_channels=128, heads=2, in_channels=1)


def count(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


@pytest.fixture(scope="module")
def guided() -> dict[str, Tensor]:
    return unet_keys.renamed(empty_unet(GUIDED).state_dict(), "guided")


def test_the_network_of_guided_diffusion_has_its_parameters_and_no_memory_is_used(
    guided: dict[str, Tensor],
) -> None:
    assert (len(guided), count(guided)) == (566, 552_814_086)
    assert {tensor.device.type for tensor in guided.values()} == {"meta"}


def test_its_tensors_have_the_names_and_shapes_of_the_published_file(guided: dict[str, Tensor]) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in guided.items()}
    expected = {
        "time_embed.0.weight": (1024, 256),
        "time_embed.2.bias": (1024,),
        "input_blocks.0.0.weight": (256, 3, 3, 3),
        "input_blocks.3.0.in_layers.2.weight": (256, 256, 3, 3),
        "input_blocks.7.0.skip_connection.weight": (512, 256, 1, 1),
        "input_blocks.13.0.skip_connection.bias": (1024,),
        "input_blocks.10.1.norm.weight": (512,),
        "input_blocks.17.1.qkv.weight": (3072, 1024, 1),
        "middle_block.1.proj_out.weight": (1024, 1024, 1),
        "middle_block.2.emb_layers.1.weight": (2048, 1024),
        "output_blocks.0.0.in_layers.0.weight": (2048,),
        "output_blocks.8.2.out_layers.3.weight": (512, 512, 3, 3),
        "output_blocks.14.1.emb_layers.1.bias": (512,),
        "out.0.weight": (256,),
        "out.2.weight": (6, 256, 3, 3),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    attention = {name.split(".qkv")[0] for name in shapes if name.endswith("qkv.weight")}
    assert attention == {
        "middle_block.1",
        *(f"input_blocks.{i}.1" for i in (10, 11, 13, 14, 16, 17)),
        *(f"output_blocks.{j}.1" for j in range(9)),
    }
    skips = {name.split(".skip")[0] for name in shapes if name.endswith("skip_connection.weight")}
    assert skips == {*(f"input_blocks.{i}.0" for i in (7, 13)), *(f"output_blocks.{j}.0" for j in range(18))}


@pytest.mark.parametrize(("channels", "parameters"), [(1, 131_649_793), (3, 131_654_403)])
def test_the_network_of_anoddpm_has_its_parameters(channels: int, parameters: int) -> None:
    shape = UNetShape(image_size=256, base_channels=128, heads=2, in_channels=channels)
    tensors = unet_keys.renamed(empty_unet(shape).state_dict(), "anoddpm")
    assert count(tensors) == parameters
    assert "down.10.1.to_qkv.weight" in tensors


@pytest.mark.parametrize("style", ["ddad", "anoddpm", "guided"])
def test_a_state_dict_of_each_family_comes_back_as_it_was(style: unet_keys.Style) -> None:
    net = build_unet(SMALL, 3)
    theirs = unet_keys.renamed(net.state_dict(), style)
    assert unet_keys.style_of(theirs) == style
    loaded = unet_keys.load(dict(reversed(list(theirs.items()))), SMALL)
    assert list(loaded.state_dict()) == list(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert not loaded.training


def test_half_precision_files_are_widened() -> None:
    theirs = {name: each.half() for name, each in build_unet(SMALL, 3).state_dict().items()}
    assert {each.dtype for each in unet_keys.load(theirs, SMALL).state_dict().values()} == {torch.float32}


def test_what_does_not_fit_is_named_as_the_file_has_it() -> None:
    tensors = unet_keys.renamed(empty_unet(SMALL).state_dict(), "guided")
    missing = {name: each for name, each in tensors.items() if name != "input_blocks.1.0.in_layers.2.bias"}
    with pytest.raises(StateError, match=r"lacks tensor input_blocks\.1\.0\.in_layers\.2\.bias"):
        unet_keys.ours(missing, SMALL)
    with pytest.raises(StateError, match=r"has more than this U-Net, such as tensor label_emb\.weight"):
        unet_keys.ours({**tensors, "label_emb.weight": torch.zeros(2, device="meta")}, SMALL)
    with pytest.raises(StateError, match=r"out\.2\.bias is \(3,\) in this file, but \(6,\) in this U-Net"):
        unet_keys.ours({**tensors, "out.2.bias": torch.zeros(3, device="meta")}, SMALL)
    with pytest.raises(StateError, match="names of no U-Net that is known: ddad, anoddpm, guided; its first"):
        unet_keys.ours({"conv1.weight": torch.zeros(1)}, SMALL)


def test_a_published_network_does_not_fit_another_family(guided: dict[str, Tensor]) -> None:
    with pytest.raises(StateError, match="in this file, but"):
        unet_keys.ours(guided, ANODDPM)


def test_heads_of_a_fixed_width_grow_in_number_with_the_channels() -> None:
    assert [GUIDED.heads_of(channels) for channels in (512, 1024)] == [8, 16]
    assert [ANODDPM.heads_of(channels) for channels in (256, 512)] == [2, 2]
