"""What is timed of DDAD, as ours and as published, each ready to be called again and again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from parts import ddad_sides as sides
from parts import plain_ddad as plain
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.data.loading import Batches
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, reconstruct
from ad_detectors.diffusion.learning import predictor
from ad_detectors.maps import blurred
from ad_detectors.zoo.ddad.scoring import batch_weight

STEPS = sides.PICTURES // sides.BATCH
Call = Callable[[], Any]


def our_training(
    scene: sides.Scene,
    cache: Path,
    *,
    dropout: float | None = None,
    mixed: bool = True,
    fused: bool = True,
) -> Call:
    """Return a step of training, which gives its loss."""
    del cache
    training = sides.OurTraining(scene, dropout, mixed=mixed, fused=fused)
    batch = sides.training_input(scene)
    return lambda: training.step(*batch)


def plain_training(scene: sides.Scene, cache: Path, *, dropout: float | None = None) -> Call:
    """Return the published step of training."""
    del cache
    training, batch = sides.PlainTraining(scene, dropout), sides.training_input(scene)
    return lambda: training.step(*batch)


def our_reconstruction(scene: sides.Scene, cache: Path, *, mixed: bool = True, abreast: bool = True) -> Call:
    """Return the reconstruction of a batch of test pictures."""
    net = sides.our_net(scene).eval()
    net.move(scene.device)
    predict, linear = predictor(net, scene.device, mixed), schedule.linear()
    trajectory = Trajectory(w=scene.config.w, **_way(scene))
    _, shown = sides.some_images(scene, cache)

    def rebuilt(part: Tensor) -> tuple[Tensor]:
        some = ((part + 1) * 127.5).round().to(torch.uint8)
        noise = sides.noise_for(some.cpu(), scene.device)
        return (reconstruct(predict, part, part, linear, trajectory, noise),)

    def call() -> Tensor:
        with torch.no_grad():
            halves = abreast and scene.device.type == "cpu"
            return determinism.microbatched(rebuilt, shown, abreast=halves)[0]

    return call


def plain_reconstruction(scene: sides.Scene, cache: Path, *, same: bool | None = None) -> Call:
    """Return the published one, under noise drawn as ours is where that is `same`, as it is on a CPU."""
    net = sides.plain_net(scene).eval()
    images, shown = sides.some_images(scene, cache)
    alike = scene.device.type == "cpu" if same is None else same

    def call() -> Tensor:
        noise = sides.noise_for(images, scene.device) if alike else lambda: torch.randn_like(shown)
        with torch.no_grad():
            return plain.reconstructions(net, shown, w=scene.config.w, **_way(scene), noise=noise)[-1]

    return call


def our_map(scene: sides.Scene, cache: Path) -> Call:
    """Return the maps of a batch of pictures and what was rebuilt of them."""
    config, (shown, rebuilt) = scene.config, _pairs(scene, cache)
    strides, tensors = config.feature_strides, sides.torchvision_net().state_dict()
    extractor = sides.features.with_weights(sides.BACKBONE, strides, tensors).to(scene.device)

    def call() -> Tensor:
        with torch.no_grad():
            pixel = pixel_distance(shown, rebuilt)
            feature = feature_distance(extractor, shown, rebuilt, strides)
            weight = config.v * batch_weight(pixel, feature)
            return blurred(feature + weight * pixel, config.blur_sigma)

    return call


def plain_map(scene: sides.Scene, cache: Path) -> Call:
    """Return the published maps."""
    config, (shown, rebuilt) = scene.config, _pairs(scene, cache)
    backbone = plain.Backbone(sides.torchvision_net().to(scene.device))

    def call() -> Tensor:
        with torch.no_grad():
            distances = plain.pixel_distance(shown, rebuilt), plain.feature_distance(backbone, shown, rebuilt)
            return plain.anomaly_maps(*distances, config.v, config.blur_sigma)

    return call


def features(scene: sides.Scene, cache: Path, *, how: str) -> Call:
    """Return the backbone alone: "once" for both pictures, "twice", or "to the head"."""
    shown, rebuilt = _pairs(scene, cache)
    whole, strides = sides.torchvision_net(), scene.config.feature_strides
    extractor = sides.features.with_weights(sides.BACKBONE, strides, whole.state_dict()).to(scene.device)
    whole.to(scene.device)

    def call() -> Tensor:
        with torch.no_grad():
            if how == "once":
                return feature_distance(extractor, shown, rebuilt, strides)
            if how == "to the head":
                return whole(torch.cat([shown, rebuilt]))
            both = [extractor((each + 1) / 2, strides) for each in (shown, rebuilt)]
            return sum((a - b).sum() for a, b in zip(*both, strict=True))

    return call


def our_loading(scene: sides.Scene, cache: Path) -> Call:
    """Return an epoch's batches, of pictures decoded into the cache."""
    data = scene.train(cache)

    def call() -> None:
        for _ in Batches(data, batch_size=sides.BATCH, seed=0, stop=STEPS, workers=2):
            pass

    return call


def plain_loading(scene: sides.Scene, cache: Path) -> Call:
    """Return the published batches, decoded in every epoch."""
    del cache

    def call() -> None:
        for _ in sides.epoch(scene):
            pass

    return call


def plain_evaluation(scene: sides.Scene, cache: Path, *, same: bool = True) -> Call:
    """Return the published evaluation."""
    del cache
    net, backbone = sides.plain_net(scene).eval(), plain.Backbone(sides.torchvision_net().to(scene.device))
    return lambda: sides.evaluate_plain(scene, net, backbone, same=same)


CALLS: dict[str, Callable[[sides.Scene, Path], Call]] = {
    "training/ours": our_training,
    "training/published": plain_training,
    "reconstruction/ours": our_reconstruction,
    "reconstruction/published": plain_reconstruction,
    "map/ours": our_map,
    "map/published": plain_map,
    "loading/published": plain_loading,
    "evaluation/published": plain_evaluation,
    "evaluation/published under noise of its own": partial(plain_evaluation, same=False),
}


def _way(scene: sides.Scene) -> dict[str, Any]:
    return {"noise_step": scene.config.noise_step, "skip": scene.config.skip, "eta": scene.config.eta}


def _pairs(scene: sides.Scene, cache: Path) -> tuple[Tensor, Tensor]:
    """Return pictures and what might have been rebuilt of them."""
    _, shown = sides.some_images(scene, cache)
    spoilt = torch.randn(shown.shape, generator=torch.Generator().manual_seed(1)).to(scene.device)
    return shown, (shown + 0.1 * spoilt).clamp(-1, 1)
