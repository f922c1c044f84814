"""The autoencoder of DiffAD: a picture becomes a normal distribution of latents, held near N(0, 1)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ad_detectors.nets import latents
from ad_detectors.nets.latents import LatentShape
from ad_detectors.zoo.diffad.config import Config

LOGARITHMS = (-30.0, 20.0)  # between which the logarithm of a latent's variance stays, as published


class KLAutoencoder(nn.Module):
    """A variational autoencoder of maps (Rombach et al. 2022, arXiv 2112.10752, section 3.1)."""

    def __init__(self, shape: LatentShape) -> None:
        super().__init__()
        double = 2 * shape.channels
        self.encoder = nn.Sequential(latents.encoder(shape, double), nn.Conv2d(double, double, 1))
        self.decoder = nn.Sequential(nn.Conv2d(shape.channels, shape.channels, 1), latents.decoder(shape))

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what comes back of images (B, 3, S, S), and mean and deviation (B, C, h, w) of latents.

        `noise` (B, C, h, w) chooses which latents of their distribution.
        """
        mean, deviation = split(self.encoder(images))
        return self.decoder(mean + deviation * noise), mean, deviation


def split(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (B, C, h, w) of what an encoder says (B, 2 C, h, w)."""
    mean, logarithm = encoded.float().chunk(2, dim=1)
    return mean, (0.5 * logarithm.clamp(*LOGARITHMS)).exp()


def loss_of(kl_weight: float, images: Tensor, rebuilt: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return the absolute difference and the weighted divergence from N(0, 1), by value of a picture."""
    divergence = 0.5 * (mean.square() + deviation.square() - 1.0) - deviation.log()
    return (images - rebuilt).abs().mean() + kl_weight * divergence.sum() / images.numel()


def shape_of(config: Config) -> LatentShape:
    """Return what decides the tensors of this config's autoencoder."""
    return LatentShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        channels=config.latent_channels,
        attention=config.attention,
        dropout=config.dropout,
    )


def encode(net: nn.Module, pictures: Tensor, mixed: bool) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the latents of pictures in -1..1, as float32."""
    return split(latents.applied(cast("KLAutoencoder", net).encoder, pictures, mixed))


def decode(net: nn.Module, z: Tensor, mixed: bool) -> Tensor:
    """Return the pictures (B, 3, S, S), in about -1..1, of latents that are not scaled."""
    return latents.applied(cast("KLAutoencoder", net).decoder, z, mixed)
