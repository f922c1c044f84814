"""A configurable U-Net of the ADM family (Dhariwal and Nichol 2021, arXiv 2105.05233, appendix)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ad_detectors.nets.attention import attention
from ad_detectors.nets.dropout import dropout, kept_at_random
from ad_detectors.nets.group_norm import GroupNorm32

MULTIPLIERS: dict[int, tuple[int, ...]] = {  # widths per level, in base channels, by image size
    256: (1, 1, 2, 2, 4, 4),
    128: (1, 1, 2, 3, 4),
    64: (1, 2, 3, 4),
    32: (1, 2, 3, 4),
}
T = TypeVar("T")
REMADE = 64  # places of the smallest map whose neighbours in memory are not kept for its gradient
# Where the network is fastest with channels last. On a card group norm undoes that layout, and convolutions
# make it again: 28 ms instead of 21 for 16 images of 256 px through DDAD-S on an H200.
CHANNELS_LAST = ("cpu",)


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """Everything that decides a U-Net's tensors and what it computes with them.

    With the defaults it is the network of DDAD and AnoDDPM. That of guided-diffusion scales and shifts by
    the time instead of adding it (`scale_shift`), embeds it as cosines first (`cosine_first`), has heads of a
    fixed width (`head_channels`, then `heads` does not matter) and more `out_channels`, for the variance. It
    may know `classes`, and then halve and double sizes by a convolution of its own instead of in a block.
    A network that is told more than a class takes a vector of so many `conditions`.
    """

    image_size: int
    base_channels: int
    heads: int = 1
    dropout: float = 0.0
    in_channels: int = 3
    residual_blocks: int = 2
    attention_divisors: tuple[int, ...] = (32, 16, 8)
    out_channels: int | None = None  # None: as many as in_channels
    multipliers: tuple[int, ...] | None = None  # None: those of the image size
    head_channels: int | None = None
    scale_shift: bool = False
    cosine_first: bool = False
    resampling: Literal["block", "convolution"] = "block"
    classes: int = 0
    conditions: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the channels of each level, finest first."""
        multipliers = self.multipliers or MULTIPLIERS[self.image_size]
        return tuple(multiplier * self.base_channels for multiplier in multipliers)

    def heads_of(self, channels: int) -> int:
        """Return how many heads attention over so many channels has; one where no head's width fits."""
        if self.head_channels is None:
            return self.heads
        return channels // self.head_channels if channels % self.head_channels == 0 else 1

    @property
    def attention_factors(self) -> frozenset[int]:
        """Return the down-sampling factors with attention, computed from the image size as published."""
        return frozenset(self.image_size // divisor for divisor in self.attention_divisors)


class UNetEncoder(nn.Module):
    """The half of a U-Net that goes down, with its middle; parameter names are those of published DDAD files.

    `nets.unet_keys` translates those of the other families.
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        base, embedding = shape.base_channels, 4 * shape.base_channels
        first, deepest = shape.widths[0], shape.widths[-1]
        self.time_embedding = nn.Sequential(
            Sinusoid(base, shape.cosine_first),
            nn.Linear(base, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
        )
        if shape.classes:
            self.class_embedding = nn.Embedding(shape.classes, embedding)
        if shape.conditions:
            self.condition = nn.Sequential(
                nn.Linear(shape.conditions, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
            )
        self.down = nn.ModuleList([TimedSequential(nn.Conv2d(shape.in_channels, first, 3, padding=1))])
        self.skip_channels = self._build_down(first)
        self.middle = TimedSequential(
            self._residual(deepest, deepest), self._attention(deepest), self._residual(deepest, deepest)
        )

    def _residual(self, channels: int, width: int, resample: str | None = None) -> ResidualBlock:
        embedding = 4 * self.shape.base_channels
        return ResidualBlock(channels, width, embedding, self.shape.dropout, resample, self.shape.scale_shift)

    @property
    def _convolves(self) -> bool:
        return self.shape.resampling == "convolution"

    def _attention(self, channels: int) -> AttentionBlock:
        return AttentionBlock(channels, self.shape.heads_of(channels))

    def _build_down(self, channels: int) -> list[int]:
        shape, skips, factor = self.shape, [channels], 1
        for level, width in enumerate(shape.widths):
            for _ in range(shape.residual_blocks):
                layers: list[nn.Module] = [self._residual(channels, width)]
                if factor in shape.attention_factors:
                    layers.append(self._attention(width))
                self.down.append(TimedSequential(*layers))
                channels = width
                skips.append(channels)
            if level < len(shape.widths) - 1:
                halving = Halving(channels) if self._convolves else self._residual(channels, channels, "down")
                self.down.append(TimedSequential(halving))
                skips.append(channels)
                factor *= 2
        return skips

    def move(self, device: torch.device) -> None:
        """Move to a device, and lay the weights out as they are used there."""
        last = device.type in CHANNELS_LAST
        self.to(device)
        self.to(memory_format=torch.channels_last if last else torch.contiguous_format)

    def encoded(
        self, x: Tensor, t: Tensor, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return what the middle makes of x (B, C, H, W) at t (B,), the embedding, and what was on the way.

        `given` are classes (B,), or conditions (B, N), where the shape has some; it is an error to leave
        them out.
        """
        if x.device.type in CHANNELS_LAST:
            x = x.contiguous(memory_format=torch.channels_last)
        time: Tensor = self.time_embedding(t)
        if self.shape.classes or self.shape.conditions:
            if given is None:
                raise ValueError("this U-Net must be told a class or conditions")
            time = time + (self.class_embedding if self.shape.classes else self.condition)(given)
        embedded = F.silu(time)  # every block starts with this SiLU: once is enough
        skips: list[Tensor] = []
        for block in self.down:
            x = block(x, embedded)
            skips.append(x)
        return self.middle(x, embedded), embedded, skips


class UNet(UNetEncoder):
    """Predicts the noise in x_t."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__(shape)
        first, deepest = shape.widths[0], shape.widths[-1]
        self.up = nn.ModuleList()
        self._build_up(deepest, [*self.skip_channels])
        out = shape.in_channels if shape.out_channels is None else shape.out_channels
        self.out = nn.Sequential(GroupNorm32(first), nn.SiLU(), _zeroed(nn.Conv2d(first, out, 3, padding=1)))

    def _build_up(self, channels: int, skips: list[int]) -> None:
        shape, factor = self.shape, 2 ** (len(self.shape.widths) - 1)
        for level in reversed(range(len(shape.widths))):
            width = shape.widths[level]
            for number in range(shape.residual_blocks + 1):
                layers: list[nn.Module] = [self._residual(channels + skips.pop(), width)]
                if factor in shape.attention_factors:
                    layers.append(self._attention(width))
                channels = width
                if level > 0 and number == shape.residual_blocks:
                    layers.append(Doubling(width) if self._convolves else self._residual(width, width, "up"))
                    factor //= 2
                self.up.append(TimedSequential(*layers))

    def forward(self, x: Tensor, t: Tensor, given: Tensor | None = None) -> Tensor:
        """Return the predicted noise, (B, C', H, W), for x (B, C, H, W) at the steps t (B,).

        C' is `out_channels`; beyond the first C lies what else was learned, such as the variance. `given` is
        what `encoded` takes.
        """
        x, embedded, skips = self.encoded(x, t, given)
        for block in self.up:
            x = block(x, embedded, skips.pop())
        return cast("Tensor", self.out(x))


class TimedSequential(nn.Sequential):
    """A sequence whose residual blocks are also given the embedded time, and the first one a skip."""

    def forward(  # type: ignore[override]
        self, x: Tensor, embedded: Tensor, skip: Tensor | None = None
    ) -> Tensor:
        """Apply the layers in order."""
        for layer in self:
            x = layer(x, embedded, skip) if isinstance(layer, ResidualBlock) else layer(x)
            skip = None
        return x


class Sinusoid(nn.Module):
    """Embeds time as sines, then cosines, or as guided-diffusion does the other way round."""

    def __init__(self, dimension: int, cosine_first: bool = False) -> None:
        super().__init__()
        self.dimension = dimension
        self.cosine_first = cosine_first

    def forward(self, t: Tensor) -> Tensor:
        """Return (B, dimension) for times (B,)."""
        half = self.dimension // 2
        steps = torch.arange(half, dtype=torch.float32, device=t.device)
        angles = t.float()[:, None] * torch.exp(-math.log(10000.0) / half * steps)
        waves = [angles.sin(), angles.cos()]
        return torch.cat(waves[::-1] if self.cosine_first else waves, dim=-1)


class ResidualBlock(nn.Module):
    """Two convolutions with the time added in between; may halve or double the size (BigGAN style).

    With `scale_shift` the time scales and shifts what was normalised (Dhariwal and Nichol 2021, eq. 3).
    """

    def __init__(
        self,
        channels: int,
        width: int,
        embedding: int,
        dropout: float,
        resample: str | None = None,
        scale_shift: bool = False,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.scale_shift = scale_shift
        # The numbering (0, 2; 1; 0, 3) is that of the published checkpoints.
        self.in_layers = nn.Sequential(
            GroupNorm32(channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)
        )
        self.embed_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width * (2 if scale_shift else 1)))
        self.out_layers = nn.Sequential(
            GroupNorm32(width), nn.SiLU(), nn.Dropout(dropout), _zeroed(nn.Conv2d(width, width, 3, padding=1))
        )
        self.skip_connection = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, embedded: Tensor, skip: Tensor | None = None) -> Tensor:
        """Return (B, width, H', W') of x with the skip's channels; `embedded` has passed its SiLU already."""
        passed, hidden = remade(self.training, self._enter, x, skip)
        timed = self.embed_layers[1](embedded)[:, :, None, None]
        if not self.scale_shift:
            hidden, timed = hidden + timed, None
        module = cast("nn.Dropout", self.out_layers[2])
        drops = module.training and module.p > 0.0
        kept = kept_at_random(hidden.shape, module.p, hidden.device) if drops else None
        return passed + remade(self.training, self._leave, hidden, kept, timed)

    def _enter(self, x: Tensor, skip: Tensor | None) -> tuple[Tensor, Tensor]:
        joined = x if skip is None else torch.cat([x, skip], dim=1)
        # Before the dear convolution, which is then the last and so need not be computed again.
        passed = self.skip_connection(self._resized(joined))
        norm, activation, convolution = self.in_layers
        return passed, convolution(self._resized(activation(norm(joined))))

    def _leave(self, hidden: Tensor, kept: Tensor | None, timed: Tensor | None) -> Tensor:
        norm, activation, module, convolution = self.out_layers
        normed = norm(hidden)
        if timed is not None:
            scale, shift = timed.chunk(2, dim=1)
            normed = normed * (1.0 + scale) + shift
        active = activation(normed)
        if kept is not None:
            active = dropout(active, kept, cast("nn.Dropout", module).p)
        return cast("Tensor", convolution(active))

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x


class Halving(nn.Module):
    """Half the size by a convolution that leaves out every second place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2)."""
        return cast("Tensor", self.op(x))


class Doubling(nn.Module):
    """Double the size by repeating each place, and convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 H, 2 W)."""
        return cast("Tensor", self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest")))


class AttentionBlock(nn.Module):
    """Self-attention over all places; channels of the projection are ordered [head][q, k, v][channel]."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm32(channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = _zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what attention adds."""
        return remade(self.training, self._attend, x)

    def _attend(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        # With a place's channels side by side, as the fused kernel of a CPU wants them: with channels last
        # none of these steps copies. Convolutions over one place are products with a matrix.
        places = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        qkv = _of_places(self.to_qkv, places).reshape(batch, height * width, self.heads, 3, -1)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(dim=3))  # (B, heads, HW, ch)
        # The same as scaling q and k by ch^(-1/4) each and a softmax in float32.
        mixed = attention(q, k, v).transpose(1, 2).reshape(places.shape)
        added = _of_places(self.proj_out, mixed).reshape(batch, height, width, channels)
        return x + added.permute(0, 3, 1, 2)


def remade(training: bool, layers: Callable[..., T], x: Tensor, *others: Tensor | None) -> T:
    """Apply layers that end with a product; in training keep their inputs, and nothing in between.

    What lies between is cheap beside a convolution, and is computed again when gradients are: it stops before
    the last product, whose own result nobody needs. The smallest maps take little memory, so they are kept.
    On a card all is kept: computing again doubled the time of a step of DDAD-S at 256 px on an H200, and
    where memory does not suffice batches are divided.
    """
    small = x.shape[-2] * x.shape[-1] < REMADE
    if not (training and torch.is_grad_enabled()) or small or x.device.type != "cpu":
        return layers(x, *others)
    return checkpoint(layers, x, *others, use_reentrant=False, preserve_rng_state=False)


def build_unet(shape: UNetShape, seed: int) -> UNet:
    """Return a freshly initialised U-Net that depends on the shape and the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(shape)


def empty_unet(shape: UNetShape) -> UNet:
    """Return a U-Net without storage, to be given its tensors by `load_state_dict(..., assign=True)`."""
    with torch.device("meta"):
        return UNet(shape)


def _of_places(layer: nn.Conv1d | nn.Conv2d, places: Tensor) -> Tensor:  # (B, HW, C) -> (B, HW, C')
    """Apply a convolution over one place."""
    return F.linear(places, layer.weight[:, :, 0], layer.bias)


def _zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    """Start a layer at zero, so that its block begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
