"""What the U-Net promises: the published tensors, and outputs that depend on one image alone."""

import pytest
import torch

from ad_detectors.nets.unet import Sinusoid, UNet, UNetShape, build_unet, empty_unet


def shape(size: int, base: int = 32, heads: int = 2, dropout: float = 0.0) -> UNetShape:
    return UNetShape(image_size=size, base_channels=base, heads=heads, dropout=dropout)


def awake(net: UNet) -> UNet:
    """Give the layers that start at zero some weight, so that every block takes part."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0.0, 0.05, generator=generator)
    return net.eval()


@pytest.mark.parametrize(("base", "heads", "count"), [(64, 4, 32_952_707), (32, 2, 8_257_731)])
def test_at_256_px_the_network_has_exactly_the_published_parameters(
    base: int, heads: int, count: int
) -> None:
    net = empty_unet(shape(256, base, heads))
    assert sum(parameter.numel() for parameter in net.parameters()) == count
    assert len(net.state_dict()) == 566


def test_the_tensors_have_the_names_and_shapes_of_the_published_checkpoints() -> None:
    tensors = {
        name: tuple(tensor.shape) for name, tensor in empty_unet(shape(256, 64, 4)).state_dict().items()
    }
    assert {name.split(".")[0] for name in tensors} == {"time_embedding", "down", "middle", "up", "out"}
    assert {int(name.split(".")[1]) for name in tensors if name.startswith("down.")} == set(range(18))
    assert {int(name.split(".")[1]) for name in tensors if name.startswith("up.")} == set(range(18))
    expected = {
        "time_embedding.1.weight": (256, 64),
        "time_embedding.3.bias": (256,),
        "down.0.0.weight": (64, 3, 3, 3),
        "down.1.0.in_layers.2.weight": (64, 64, 3, 3),
        "down.1.0.embed_layers.1.weight": (64, 256),
        "down.7.0.skip_connection.weight": (128, 64, 1, 1),
        "down.10.1.norm.weight": (128,),
        "down.10.1.to_qkv.weight": (384, 128, 1),
        "middle.1.proj_out.weight": (256, 256, 1),
        "up.0.0.in_layers.0.weight": (512,),
        "up.2.2.out_layers.3.weight": (256, 256, 3, 3),
        "out.0.weight": (64,),
        "out.2.bias": (3,),
    }
    assert {name: tensors.get(name) for name in expected} == expected


def test_the_way_up_joins_the_published_widths() -> None:
    net = empty_unet(shape(256, 64, 4))
    tensors = net.state_dict()
    widths = [tensors[f"up.{i}.0.in_layers.0.weight"].shape[0] for i in range(18)]
    assert widths == [512] * 5 + [384] * 2 + [256] * 4 + [192] * 2 + [128] * 5


@pytest.mark.parametrize(
    ("size", "places"), [(256, {8, 16, 32}), (128, {8, 16, 32}), (64, {8, 16, 32}), (32, {8, 16, 32})]
)
def test_attention_works_at_32_16_and_8_pixels_whatever_the_image_size(size: int, places: set[int]) -> None:
    assert {size // factor for factor in shape(size).attention_factors} == places


@pytest.mark.parametrize("size", [32, 64])
def test_small_images_pass_through_and_keep_their_size(size: int) -> None:
    net = awake(build_unet(shape(size), 1))
    with torch.no_grad():
        out = net(torch.randn(1, 3, size, size), torch.tensor([10]))
    assert out.shape == (1, 3, size, size)
    assert out.isfinite().all()
    assert out.abs().sum() > 0


def test_an_untrained_network_predicts_no_noise_since_its_head_starts_at_zero() -> None:
    net = build_unet(shape(32), 1)
    assert not net(torch.randn(1, 3, 32, 32), torch.tensor([500])).any()


def test_initial_weights_depend_on_the_seed_alone_and_leave_the_global_generator_untouched() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_unet(shape(32), 7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = build_unet(shape(32), 7).state_dict(), build_unet(shape(32), 8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["down.0.0.weight"], other["down.0.0.weight"])


def test_the_prediction_depends_on_the_time() -> None:
    net = awake(build_unet(shape(32), 1))
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        early, late = net(x, torch.tensor([1])), net(x, torch.tensor([900]))
    assert (early - late).abs().max() > 1e-4


def test_time_is_embedded_as_sines_then_cosines() -> None:
    embedded = Sinusoid(8)(torch.tensor([0.0, 3.0]))
    frequencies = 10000.0 ** (-torch.arange(4) / 4)
    assert torch.equal(embedded[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(embedded[1], torch.cat([(3 * frequencies).sin(), (3 * frequencies).cos()]))


def test_attention_reads_its_projection_head_by_head() -> None:
    net = awake(build_unet(shape(32), 1))
    block = net.middle[1]
    x = torch.randn(2, 128, 4, 4)
    flat = x.reshape(2, 128, 16)
    rows = block.to_qkv(block.norm(flat)).reshape(2 * 2, 3 * 64, 16)  # the published order: [head][q|k|v][ch]
    q, k, v = rows.split(64, dim=1)
    scale = 64**-0.25
    weights = torch.einsum("bct,bcs->bts", q * scale, k * scale).softmax(-1)
    mixed = torch.einsum("bts,bcs->bct", weights, v).reshape(2, 128, 16)
    expected = (flat + block.proj_out(mixed)).reshape(x.shape)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    net = awake(build_unet(shape(32, dropout=0.3), 1))
    x, t = torch.randn(1, 3, 32, 32), torch.tensor([100])
    with torch.no_grad():
        assert torch.equal(net(x, t), net(x, t))
        net.train()
        assert not torch.equal(net(x, t), net(x, t))
