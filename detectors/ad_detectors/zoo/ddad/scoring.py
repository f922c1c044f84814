"""From images to DDAD's anomaly maps: reconstruct, measure two distances, weigh, blur."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, noise_of, reconstruct
from ad_detectors.diffusion.learning import predictor
from ad_detectors.maps import blurred
from ad_detectors.nets.unet import UNet
from ad_detectors.pixels import normalised
from ad_detectors.zoo.ddad.config import Config
from ad_detectors.zoo.ddad.scale import LEAST_PIXEL_DISTANCE


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What scoring computes with."""

    net: UNet
    extractor: FeatureExtractor | None
    seed: int  # from which the noise is drawn
    device: torch.device
    mixed: bool  # whether the U-Net may compute in bfloat16 on CUDA


def distances(fitted: Fitted, config: Config, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return D_p and D_f, (B, S, S) each, of uint8 images at the model's size; none mixes images."""
    shown, rebuilt = compared(fitted, config, images)
    pixel = pixel_distance(shown, rebuilt)
    if fitted.extractor is None:
        return pixel, torch.zeros_like(pixel)
    return pixel, feature_distance(fitted.extractor, shown, rebuilt, config.feature_strides)


def compared(fitted: Fitted, config: Config, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return uint8 images at the model's size and what is rebuilt of them: (B, 3, S, S), in about -1..1."""
    generators = [determinism.image_generator(fitted.seed, image) for image in images]
    noise = noise_of(generators, images.shape[1:], fitted.device)
    shown = normalised(images.to(fitted.device))
    trajectory = Trajectory(w=config.w, noise_step=config.noise_step, skip=config.skip, eta=config.eta)
    predict = predictor(fitted.net, fitted.device, fitted.mixed, on_cpu=config.score_bfloat16)
    return shown, reconstruct(predict, shown, shown, schedule.linear(), trajectory, noise)


def own_maps(pixel: Tensor, feature: Tensor, weight: float, sigma: float) -> tuple[Tensor, Tensor]:
    """Return image scores (B,) and maps (B, S, S), each of its own image alone."""
    maps = blurred(feature + weight * pixel, sigma)
    return maps.amax(dim=(1, 2)), maps


def batch_weight(pixel: Tensor, feature: Tensor) -> float:
    """Return max D_f / max D_p of a batch, by which the published code weighs its pixel distances."""
    return float(feature.max()) / max(float(pixel.max()), LEAST_PIXEL_DISTANCE)


def published_maps(pixel: Tensor, feature: Tensor, weight: float, sigma: float) -> tuple[Tensor, Tensor]:
    """Return image scores and maps as published, with the border left out.

    Of 256 pixels the published code keeps the inner 224. Here the border of the map is zero, which is less
    than any distance, so that maps keep their size; it counts neither for the image score.
    """
    maps = blurred(feature + weight * pixel, sigma)
    border = maps.shape[-1] // 16
    inner = maps[:, border:-border, border:-border]
    return inner.amax(dim=(1, 2)), F.pad(inner, (border,) * 4)
