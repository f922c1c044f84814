"""DDAD as ours and as published, on the same pictures with the same weights and noise."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from parts import plain_ddad as plain
from parts.plain_unet import PlainUNet
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import wide_resnet101_2

from ad_detectors import determinism, registry
from ad_detectors.api import Detector
from ad_detectors.backbones import features
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.images import CachedImages, TestImages, test_images, train_images
from ad_detectors.data.layout import open_category
from ad_detectors.data.splits import NONE
from ad_detectors.data.synth import category as screws
from ad_detectors.device import mixed_precision
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.training import loss_at
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.evaluation.run import evaluate
from ad_detectors.nets.unet import UNet, UNetShape, build_unet
from ad_detectors.pixels import normalised
from ad_detectors.zoo.ddad.config import Config
from ad_detectors.zoo.ddad.denoiser import shape_of

BACKBONE = "wide_resnet101_2.tv_in1k"  # the published one; its weights are random here, which costs the same
SEED = 0
SOURCE = 1024  # pixels of the pictures' sides in their files
PICTURES = 100
BATCH = 16
CPU = torch.device("cpu")


def make_sources(folder: Path, category: Path | None) -> None:
    """Write 100 pictures to learn from and 100 to test at 1024 px: of a category's, or drawn screws."""
    if category is None:
        category = folder / "drawn"
        screws.make(category, train=25, test_good=15, per_defect=5, size=256)
    opened = open_category(category)
    with ThreadPoolExecutor() as threads:
        made = []
        for part, samples in (("train", opened.train), ("test", opened.test)):
            for number in range(PICTURES):
                # Spread over all, so that every kind of defect comes; with fewer than 100 some come again.
                sample = samples[number * len(samples) // PICTURES]
                kind = sample.defect if part == "test" and sample.defect else "good"
                large = folder / "large" / part / kind / f"{number:03}.png"
                made.append(threads.submit(_enlarged, sample.path, large, "RGB"))
                if sample.mask is not None:
                    mask = folder / "large" / "ground_truth" / kind / f"{number:03}_mask.png"
                    made.append(threads.submit(_enlarged, sample.mask, mask, "L"))
        for each in made:
            each.result()


def _enlarged(source: Path, target: Path, mode: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        how = Image.Resampling.NEAREST if mode == "L" else Image.Resampling.BICUBIC
        large = image.convert(mode).resize((SOURCE, SOURCE), how)
    pixels = np.asarray(large)
    if mode == "RGB":  # a camera's noise, without which the files would be read sooner than real ones
        grain = np.random.default_rng(0).integers(-2, 3, pixels.shape)
        pixels = (pixels + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(target)


@dataclass(frozen=True)
class Scene:
    """The pictures at 1024 px, and the settings with which both sides compute."""

    folder: Path
    size: int
    device: torch.device = CPU
    whole: bool = False  # DDAD itself, not DDAD-S

    @cached_property
    def config(self) -> Config:
        """Return DDAD-S, or DDAD, with the settings published for MVTec AD."""
        return Config(
            image_size=self.size,
            base_channels=64 if self.whole else 32,
            heads=4 if self.whole else 2,
            dropout=0.0 if self.whole else 0.3,
            batch_size=BATCH,
            compat_batch=BATCH,
            backbone=BACKBONE,
        )

    @property
    def shape(self) -> UNetShape:
        """Return the network's shape."""
        return shape_of(self.config)

    def train(self, cache: Path) -> CachedImages:
        """Return the pictures to learn from, decoded unless the cache has them."""
        opened = open_category(self.folder / "large")
        known = fingerprint(opened.path, cache / "fingerprints.json")
        return train_images(opened, self.size, cache, known, NONE)

    def test(self, cache: Path) -> TestImages:
        """Return the pictures to test on, decoded unless the cache has them."""
        opened = open_category(self.folder / "large")
        return test_images(opened, self.size, cache, fingerprint(opened.path, cache / "fingerprints.json"))

    def files(self, part: str) -> plain.Files:
        """Return a part's pictures, to be decoded in every epoch, in the order of ours."""
        opened = open_category(self.folder / "large")
        samples = opened.train if part == "train" else opened.test
        return plain.Files([each.path for each in samples], [each.mask for each in samples], self.size)


def epoch(scene: Scene) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the published batches to learn from."""
    return plain.loader(scene.files("train"), BATCH, shuffle=True)


def training_input(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Return images in -1..1, steps and noise of one training step; any will do, since they cost the same."""
    made = torch.Generator().manual_seed(SEED)
    images = torch.rand(BATCH, 3, scene.size, scene.size, generator=made) * 2 - 1
    noise = torch.randn(images.shape, generator=made)
    t = torch.randint(0, 1000, (BATCH,), generator=made)
    return images.to(scene.device), t.to(scene.device), noise.to(scene.device)


def our_net(scene: Scene, dropout: float | None = None) -> UNet:
    """Return our network, with small random weights where a fresh one has zeros."""
    shape = scene.shape if dropout is None else replace(scene.shape, dropout=dropout)
    net = build_unet(shape, SEED)
    made = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for weights in net.parameters():
            if not weights.any():
                weights.normal_(0, 0.02, generator=made)
    return net


def plain_net(scene: Scene, dropout: float | None = None) -> PlainUNet:
    """Return the plain network with the same weights."""
    net = PlainUNet(scene.shape if dropout is None else replace(scene.shape, dropout=dropout))
    net.load_state_dict(our_net(scene).state_dict())
    return net.to(scene.device)


class OurTraining:
    """Steps of ours, as `Denoiser` does them."""

    def __init__(
        self, scene: Scene, dropout: float | None = None, *, fused: bool = True, mixed: bool = True
    ) -> None:
        self.device, self.mixed = scene.device, mixed
        self.net = our_net(scene, dropout)
        self.net.move(self.device)
        self.net.train()
        self.process = schedule.linear()
        config = scene.config
        self.optimiser = torch.optim.Adam(
            self.net.parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=fused,
            foreach=False,
        )

    def step(self, images: Tensor, t: Tensor, noise: Tensor) -> float:
        """Do one step and return its loss."""
        with mixed_precision(self.device, self.mixed):
            loss = loss_at(self.net, images, self.process, t, noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())


class PlainTraining:
    """Steps as published."""

    def __init__(self, scene: Scene, dropout: float | None = None) -> None:
        self.net = plain_net(scene, dropout).train()
        config = scene.config
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )

    def step(self, images: Tensor, t: Tensor, noise: Tensor) -> float:
        """Do one step and return its loss."""
        return plain.training_step(self.net, self.optimiser, images, t, noise)


def our_detector(scene: Scene, *, compat: bool, score_bfloat16: bool = False, mixed: bool = True) -> Detector:
    """Return ours as a fit would have left it; with `compat` it scores as published."""
    config = replace(scene.config, compat=compat, score_bfloat16=score_bfloat16)
    detector = registry.create("ddad", config)
    extractor = features.with_weights(BACKBONE, scene.config.feature_strides, torchvision_net().state_dict())
    detector.restore(
        {
            **{f"denoiser/net/{name}": each for name, each in our_net(scene).state_dict().items()},
            "features/backbone": BACKBONE,
            **{f"features/net/{name}": each for name, each in extractor.state_dict().items()},
            "score/seed": SEED,
            "score/mixed": mixed,
            "score/batches": 1,
            "score/pixel_max": 0.2,
            "score/feature_max": 0.2,
        }
    )
    detector.to(scene.device)
    return detector


def torchvision_net() -> nn.Module:
    """Return the published backbone, whole, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net: nn.Module = wide_resnet101_2(weights=None, zero_init_residual=False)
    return net.eval()


def evaluate_ours(scene: Scene, detector: Detector, cache: Path) -> Evaluation:
    """Score the test pictures from their files, and measure."""
    return evaluate(detector, scene.test(cache))


def evaluate_plain(scene: Scene, net: PlainUNet, backbone: nn.Module, *, same: bool = True) -> plain.Found:
    """Score them as published, under the noise that ours meets or under noise drawn where they lie."""
    config, files = scene.config, scene.files("test")
    settings = plain.Scoring(
        w=config.w,
        noise_step=config.noise_step,
        skip=config.skip,
        eta=config.eta,
        v=config.v,
        sigma=config.blur_sigma,
    )
    batches = plain.loader(files, BATCH, shuffle=False)
    labels = [int(mask is not None) for mask in files.masks]
    return plain.evaluate(net, backbone, batches, labels, settings, _noises(scene) if same else _drawn(scene))


def _noises(scene: Scene) -> Iterator[plain.Noise]:
    """Return the noise of each batch: what ours draws is decided by a picture's pixels."""
    for images, _ in plain.loader(scene.files("test"), BATCH, shuffle=False):
        yield noise_for(((images + 1) * 127.5).round().to(torch.uint8), scene.device)


def _drawn(scene: Scene) -> Iterator[plain.Noise]:
    """Return noise without end, for batches that are all whole but the last."""
    left = PICTURES
    while left > 0:
        shape = (min(BATCH, left), 3, scene.size, scene.size)
        yield lambda shape=shape: torch.randn(shape, device=scene.device)
        left -= BATCH


def noise_for(images: Tensor, device: torch.device = CPU) -> plain.Noise:
    """Return the noise that ours draws for uint8 images."""
    own = [determinism.image_generator(SEED, image) for image in images]
    return lambda: torch.stack([torch.randn(images.shape[1:], generator=each) for each in own]).to(device)


def some_images(scene: Scene, cache: Path) -> tuple[Tensor, Tensor]:
    """Return a batch of test pictures, uint8, and in -1..1 on the device."""
    test = scene.test(cache)
    chosen = sorted(random.Random(SEED).sample(range(len(test)), BATCH))
    images = test.batch(chosen)
    return images, normalised(images).to(scene.device)
