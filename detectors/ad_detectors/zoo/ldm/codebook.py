"""The VQ-VAE: latents that are words of a codebook, which follows its latents by moving means.

Van den Oord et al. 2017, arXiv 1711.00937; moving means as in their appendix A.1.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.device import mixed_precision
from ad_detectors.nets import latents
from ad_detectors.nets.latents import LatentShape
from ad_detectors.zoo.ldm.config import Config

ALIVE = 0.03  # of the uses that each of the words would have if all had equally many
LEAST = 1e-5  # added to uses before a mean is taken


class Codebook(nn.Module):
    """Words of as many numbers as latents have channels; unused ones become latents of a batch.

    Computed in float32, whatever the precision around it: half of the digits would name other words.
    """

    codes: Tensor  # (K, C)
    uses: Tensor  # (K,) moving means of how often each was the nearest in a batch
    sums: Tensor  # (K, C) and of the latents it was nearest to

    def __init__(self, count: int, channels: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.zeros(count, channels))
        self.register_buffer("uses", torch.zeros(count))
        self.register_buffer("sums", torch.zeros(count, channels))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return for latents (B, C, h, w) the nearest words, and which they are (B, h, w)."""
        places = z.float().flatten(2).transpose(1, 2)  # (B, HW, C)
        with mixed_precision(z.device, wanted=False):
            # Image by image, so that no product's rounding depends on an image's place in its batch.
            chosen = torch.stack([self._nearest(each) for each in places])
        words = self.codes[chosen].transpose(1, 2).reshape(z.shape)
        return words, chosen.reshape(len(z), *z.shape[2:])

    def _nearest(self, places: Tensor) -> Tensor:  # (HW, C) -> (HW,)
        apart = self.codes.square().sum(1) - 2.0 * torch.mm(places, self.codes.t())
        return apart.argmin(dim=1)

    @torch.no_grad()
    def follow(self, z: Tensor) -> None:
        """Move the words towards the latents (B, C, h, w) of a batch; those that nobody uses start anew."""
        with torch.autocast(z.device.type, enabled=False):
            self._follow(z.float())

    def _follow(self, z: Tensor) -> None:
        places = z.movedim(1, -1).flatten(0, 2)
        # Drawn on the CPU, so that it is the same on every device.
        fresh = places[torch.randint(len(places), (len(self.codes),)).to(places.device)]
        self._revive(fresh, len(places))
        with mixed_precision(z.device, wanted=False):
            once = F.one_hot(self._nearest(places), len(self.codes)).to(places.dtype)
            self.uses.lerp_(once.sum(0), 1.0 - self.decay)
            self.sums.lerp_(torch.mm(once.t(), places), 1.0 - self.decay)
        self.codes.copy_(self.sums / (self.uses + LEAST)[:, None])

    def _revive(self, fresh: Tensor, places: int) -> None:
        fair = places / len(self.codes)
        dead = self.uses < ALIVE * fair
        self.codes[dead] = fresh[dead]
        self.sums[dead] = fresh[dead] * fair
        self.uses[dead] = fair


class VQAutoencoder(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, shape: LatentShape, codes: int, decay: float) -> None:
        super().__init__()
        self.encoder = latents.encoder(shape, shape.channels)
        self.codebook = Codebook(codes, shape.channels, decay)
        self.decoder = latents.decoder(shape)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what comes back of images, latents, the nearest words, and which; the codebook follows.

        The decoder's gradient passes the words by (straight through) and reaches the encoder.
        """
        z = self.encoder(images).float()
        if self.training:
            self.codebook.follow(z.detach())
        words, chosen = self.codebook(z.detach())
        return self.decoder(z + (words - z).detach()), z, words, chosen


def loss_of(commitment: float, images: Tensor, rebuilt: Tensor, z: Tensor, words: Tensor) -> Tensor:
    """Return the absolute difference, and by weight how far latents are from their words (eq. 3)."""
    return (images - rebuilt).abs().mean() + commitment * (z - words).square().mean()


def perplexity(chosen: Tensor, count: int) -> float:
    """Return how many words were in use, if all had been used equally often: 1..count."""
    share = torch.bincount(chosen.flatten(), minlength=count).double() / chosen.numel()
    return float(torch.exp(-(share * share.clamp(min=1e-12).log()).sum()))


def shape_of(config: Config) -> LatentShape:
    """Return what decides the layers of this config's autoencoder."""
    return LatentShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        channels=config.latent_channels,
        attention=config.attention,
    )


def encode(net: nn.Module, pictures: Tensor, mixed: bool) -> Tensor:
    """Return the latents of pictures in -1..1 before they become words, as float32."""
    return latents.applied(cast("VQAutoencoder", net).encoder, pictures, mixed)


def decode(net: nn.Module, z: Tensor, mixed: bool) -> Tensor:
    """Return the pictures of the words nearest to latents that are not scaled, in about -1..1."""
    autoencoder = cast("VQAutoencoder", net)
    words, _ = autoencoder.codebook(z)
    return latents.applied(autoencoder.decoder, words, mixed)
