"""Drives the published code of DDAD (github.com/arimousa/DDAD) from a checkout; nothing of it is kept here.

Its network, loss, reconstruction, adaptation loss and maps compute; the loops around them are ours, since its
own are written for CUDA, epochs and WideResNet. Pictures come in the order, and under the noise, that ours
meet, so that a difference between the sides is one between their codes and not one of luck.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import CenterCrop, Normalize

from ad_detectors import determinism
from ad_detectors.api import Images
from ad_detectors.backbones import features
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.data.loading import Batches
from ad_detectors.nets.dropout import dropout, kept_at_random
from ad_detectors.nets.unet import build_unet
from ad_detectors.zoo.ddad.adaptation import pair
from ad_detectors.zoo.ddad.config import Config
from ad_detectors.zoo.ddad.denoiser import shape_of

MODULES = ("unet", "loss", "reconstruction", "feature_extractor", "anomaly_map")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STRIDES = (4, 8, 16)  # of the three maps that the published backbones return
Told = Callable[[int, float], None]  # step, loss


class PeerMissing(Exception):
    """The published code cannot be imported."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The modules of a checkout that compute."""

    unet: Any
    loss: Any
    reconstruction: Any
    feature_extractor: Any
    anomaly_map: Any


def load(folder: Path) -> Peer:
    """Import the published modules from their checkout; raise PeerMissing saying what is not there."""
    if not (folder / "unet.py").is_file():
        raise PeerMissing(f"{folder} is no checkout of github.com/arimousa/DDAD: it has no unet.py")
    sys.path.insert(0, str(folder))
    try:
        return Peer(**{name: importlib.import_module(name) for name in MODULES})
    except ImportError as error:
        raise PeerMissing(
            f"the published code needs {error.name}: pip install --no-deps --target FOLDER kornia==0.6.12, "
            "beside matplotlib, and put FOLDER on PYTHONPATH"
        ) from error


class SameBackbone(nn.Module):
    """Our backbone, called as the published code calls its own: a scaled image in, three maps out."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model, mean, std = features.pretrained(name, places_from_environment())
        reductions = [int(each["reduction"]) for each in self.model.feature_info]
        self.indices = [reductions.index(stride) for stride in STRIDES]
        # Undoes the published scaling and does the one that these weights were trained with.
        their_mean, their_std, our_mean, our_std = (torch.tensor(each) for each in (*IMAGENET, mean, std))
        self.scaled = Normalize(
            ((our_mean - their_mean) / their_std).tolist(), (our_std / their_std).tolist()
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8 and 16."""
        found: list[Tensor] = self.model.forward_intermediates(
            self.scaled(x), indices=self.indices, stop_early=True, intermediates_only=True
        )
        return found


def settings(config: Config) -> Any:
    """Return the published settings object with what our config says."""
    model = SimpleNamespace(
        device="cpu",
        beta_start=0.0001,
        beta_end=0.02,
        trajectory_steps=1000,
        test_trajectoy_steps=config.noise_step,
        skip=config.skip,
        eta=config.eta,
        DLlambda=config.adapt_lambda,
        v=config.v,
    )
    return SimpleNamespace(model=model, data=SimpleNamespace(image_size=config.image_size))


def train(peer: Peer, config: Config, data: Images, seed: int, told: Told) -> nn.Module:
    """Train the published network by the published loss and optimiser, from the weights that ours has."""
    net: nn.Module = peer.unet.UNetModel(
        config.image_size, config.base_channels, n_heads=config.heads, dropout=config.dropout, in_channels=3
    )
    net.load_state_dict(build_unet(shape_of(config), determinism.derive(seed, "denoiser")).state_dict())
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    named, stop = settings(config), config.train_steps(len(data))
    for step, batch in Batches(data, batch_size=config.batch_size, seed=seed, stop=stop):
        images = _shown(batch)
        determinism.step_seed(seed, step)  # dropout
        generator = determinism.generator(seed, "noise", step)
        t = torch.randint(0, config.noise_levels, (len(images),), generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        optimiser.zero_grad()
        with feeding(lambda noise=noise: noise), dropping():
            loss = peer.loss.get_loss(net, images, t, named)
        loss.backward()
        optimiser.step()
        told(step + 1, float(loss.detach()))
    return net.eval()


def adapt(peer: Peer, config: Config, net: nn.Module, data: Images, seed: int, told: Told) -> nn.Module:
    """Adapt the backbone by the published loss and optimiser."""
    adapted, frozen = SameBackbone(config.backbone).train(), SameBackbone(config.backbone).eval()
    scaled = Normalize(*IMAGENET)
    optimiser = torch.optim.AdamW(adapted.parameters(), lr=config.adapt_lr)
    rebuild = peer.reconstruction.Reconstruction(net, settings(config))
    seed, stop = determinism.derive(seed, "adaptation"), config.adaptation_steps(len(data))
    for step, batch in Batches(data, batch_size=config.adapt_batch_size, seed=seed, stop=stop):
        target, source = pair(_shown(batch), same=False)
        generator = determinism.generator(seed, "noise", step)
        with feeding(lambda generator=generator, like=source: torch.randn(like.shape, generator=generator)):
            rebuilt = rebuild(source, target, config.adapt_w)[-1]
        rebuilt, target = (scaled((each + 1) / 2) for each in (rebuilt, target))
        of_rebuilt, of_target = adapted(rebuilt), adapted(target)
        with torch.no_grad():
            kept = frozen(target), frozen(rebuilt)
        loss = peer.feature_extractor.loss_fucntion(of_rebuilt, of_target, *kept, settings(config))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        told(step + 1, float(loss.detach()))
    return adapted.eval()


def score(
    peer: Peer, config: Config, net: nn.Module, backbone: nn.Module, images: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Return scores (B,) and maps (B, S, S) of one published batch of uint8 images.

    The published score looks at the inner 224 of 256 pixels; here at as large a part of any size.
    """
    seed = determinism.derive(seed, "score")
    generators = [determinism.image_generator(seed, image) for image in images]
    shown = _shown(images)

    def noise() -> Tensor:
        return torch.stack([torch.randn(shown.shape[1:], generator=own) for own in generators])

    with torch.no_grad():
        with feeding(noise):
            rebuilt = peer.reconstruction.Reconstruction(net, settings(config))(shown, shown, config.w)[-1]
        maps = peer.anomaly_map.heat_map(rebuilt, shown, backbone, settings(config))
    inner = CenterCrop(config.image_size * 7 // 8)(maps)
    return inner.amax(dim=(1, 2, 3)), maps[:, 0]


@contextmanager
def feeding(noise: Callable[[], Tensor]) -> Iterator[None]:
    """Have the published code draw its noise from ours."""
    drawn = torch.randn_like
    torch.randn_like = lambda *_args, **_kwargs: noise()
    try:
        yield
    finally:
        torch.randn_like = drawn


@contextmanager
def dropping() -> Iterator[None]:
    """Have the published code drop what ours drops."""
    own = functional.dropout

    def dropped(x: Tensor, p: float, training: bool, _inplace: bool) -> Tensor:
        if not training or p == 0.0:
            return x
        return dropout(x, kept_at_random(x.shape, p, x.device).contiguous(), p)

    functional.dropout = dropped
    try:
        yield
    finally:
        functional.dropout = own


def batches(count: int, size: int) -> Sequence[range]:
    """Return the published test batches of so many pictures."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _shown(images: Tensor) -> Tensor:
    return images.float() / 255 * 2 - 1
