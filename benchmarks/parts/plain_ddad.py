"""DDAD's published procedure written down plainly, as it is described, for ours to be measured against.

Mousakhan, Brox, Tayyub, arXiv 2305.15956, section 4, with the habits of its published code that cost time
and memory: files decoded in every epoch, the table of the schedule built anew for every use, all
intermediates kept, the backbone run to its end, and for images and reconstructions apart. Written from a
description; it computes where its network and images lie, and draws its maps there too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.metrics import auc, roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

Noise = Callable[[], Tensor]  # fresh standard normal noise of the images' shape

THRESHOLDS = 200  # of the overlap by region
WORKERS = 2  # processes that decode
TO_BACKBONE = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Files(Dataset[tuple[Tensor, Tensor]]):
    """Pictures decoded from their files whenever they are asked for, with their masks where they have any."""

    def __init__(self, pictures: Sequence[Path], masks: Sequence[Path | None], size: int) -> None:
        self.pictures, self.masks = pictures, masks
        self.read = Compose([Resize((size, size)), ToTensor()])
        self.size = size

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture = self.read(Image.open(self.pictures[index])) * 2 - 1
        if len(picture) == 1:
            picture = picture.expand(3, -1, -1)
        mask = self.masks[index]
        return picture, torch.zeros(1, self.size, self.size) if mask is None else self.read(Image.open(mask))


def loader(files: Files, batch: int, *, shuffle: bool) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches of one epoch: in training shuffled, and without a last one that is not whole."""
    return DataLoader(files, batch, shuffle=shuffle, num_workers=WORKERS, drop_last=shuffle)


def abar(steps: Tensor) -> Tensor:  # (B,) -> (B, 1, 1, 1)
    """Return what is left of the signal at these steps, -1 being the clean image; builds the whole table."""
    betas = torch.tensor(np.linspace(1e-4, 0.02, 1000, dtype=np.float64)).float()
    table = torch.cumprod(1 - torch.cat([torch.zeros(1), betas]), dim=0)
    return table.to(steps.device)[steps.long() + 1][:, None, None, None]


def training_step(
    net: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor, t: Tensor, noise: Tensor
) -> float:
    """Do one step and return its loss."""
    optimiser.zero_grad()
    kept = abar(t)
    noised = kept.sqrt() * images + (1 - kept).sqrt() * noise
    loss = (noise - net(noised, t)).square().sum(dim=(1, 2, 3)).mean()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def reconstructions(
    net: nn.Module, images: Tensor, w: float, noise_step: int, skip: int, eta: float, noise: Noise
) -> list[Tensor]:
    """Return the images under noise and all that follow from it, the reconstruction last."""
    start = abar(torch.full((1,), noise_step, device=images.device))
    kept = [start.sqrt() * images + (1 - start).sqrt() * noise()]
    steps = list(range(0, noise_step, skip))
    for step, following in zip(reversed(steps), reversed([-1, *steps[:-1]]), strict=True):
        x, t = kept[-1], torch.full((len(images),), step, device=images.device)
        now, then = abar(t), abar(torch.full_like(t, following))
        e = net(x, t)
        target = now.sqrt() * images + (1 - now).sqrt() * e
        pulled = e - w * (1 - now).sqrt() * (target - x)
        clean = (x - (1 - now).sqrt() * pulled) / now.sqrt()
        spread = eta * ((1 - now / then) * (1 - then) / (1 - now)).sqrt()
        straight = (1 - then - spread**2).clamp(min=0).sqrt()
        kept.append(then.sqrt() * clean + straight * pulled + spread * noise())
    return kept


class Backbone(nn.Module):
    """A residual network of torchvision, run to its head; returns the maps of strides 4, 8 and 16."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.eval()
        self.found: list[Tensor] = []
        for name in ("layer1", "layer2", "layer3"):
            self.model.get_submodule(name).register_forward_hook(lambda _m, _i, out: self.found.append(out))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps, finest first, of ImageNet-scaled images."""
        self.found.clear()
        self.model(images)
        return list(self.found)


def pixel_distance(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Return D_p, (B, S, S)."""
    return (rebuilt - images).abs().mean(dim=1)


def feature_distance(backbone: nn.Module, images: Tensor, rebuilt: Tensor) -> Tensor:
    """Return D_f, (B, S, S), of the maps of strides 8 and 16."""
    size = images.shape[-1]
    of_images, of_rebuilt = backbone(TO_BACKBONE((images + 1) / 2)), backbone(TO_BACKBONE((rebuilt + 1) / 2))
    total = torch.zeros(len(images), 1, size, size, device=images.device)
    for a, b in list(zip(of_images, of_rebuilt, strict=True))[1:]:
        apart = 1 - F.cosine_similarity(_local_means(a), _local_means(b))
        total = total + F.interpolate(apart[:, None], size=size, mode="bilinear", align_corners=True)
    return total[:, 0]


def _local_means(features: Tensor) -> Tensor:
    """Return means over 3 x 3 places, with zeros beyond the border; all patches are laid out for it."""
    batch, channels, height, width = features.shape
    patches = F.unfold(features, 3, padding=1).reshape(batch, channels, 9, height * width)
    return patches.mean(dim=2).reshape(features.shape)


def anomaly_maps(pixel: Tensor, feature: Tensor, v: float, sigma: float) -> Tensor:
    """Return the maps, (B, S, S), weighed by the maxima of the batch and blurred."""
    total = feature + v * (feature.max() / pixel.max()) * pixel
    reach = int(4 * sigma + 0.5)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=total.device) / sigma) ** 2)
    bell = bell / bell.sum()
    wide = F.pad(total[:, None], (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(wide, bell[None, None, :, None]), bell[None, None, None, :])[:, 0]


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The settings of a reconstruction and of its map."""

    w: float
    noise_step: int
    skip: int
    eta: float
    v: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an evaluation came to."""

    scores: NDArray[np.float32]  # (N,)
    maps: NDArray[np.float32]  # (N, h, w), of the inner seven eighths
    measures: dict[str, float]


def evaluate(
    net: nn.Module,
    backbone: nn.Module,
    batches: DataLoader[tuple[Tensor, Tensor]],
    labels: Sequence[int],
    settings: Scoring,
    noises: Iterator[Noise],
) -> Found:
    """Score every batch, keep everything until the end, and measure."""
    pictures, rebuilts, maps, masks = [], [], [], []
    device = next(net.parameters()).device
    with torch.no_grad():
        for on_cpu, mask in batches:
            images = on_cpu.to(device)
            rebuilt = reconstructions(
                net, images, settings.w, settings.noise_step, settings.skip, settings.eta, next(noises)
            )[-1]
            distances = pixel_distance(images, rebuilt), feature_distance(backbone, images, rebuilt)
            maps.append(_inner(anomaly_maps(*distances, settings.v, settings.sigma)))
            masks.append(_inner(mask[:, 0]))
            pictures.append(images)
            rebuilts.append(rebuilt)
    whole, marked = torch.cat(maps).cpu().numpy(), torch.cat(masks).numpy()
    scores = whole.max(axis=(1, 2))
    measures = {
        "image AUROC": float(roc_auc_score(labels, scores)),
        "pixel AUROC": float(roc_auc_score((marked > 0).ravel(), whole.ravel())),
        "PRO": overlap_by_region(whole, marked),
    }
    return Found(scores=scores, maps=whole, measures=measures)


def overlap_by_region(maps: NDArray[np.float32], masks: NDArray[np.float32]) -> float:
    """Return the published area: 200 thresholds, and at each of them every region of every mask anew."""
    scaled = (maps - maps.min()) / (maps.max() - maps.min())
    overlaps, rates = [], []
    for threshold in np.arange(scaled.min(), scaled.max(), (scaled.max() - scaled.min()) / THRESHOLDS):
        flagged = scaled > threshold
        shares = []
        for above, mask in zip(flagged, masks, strict=True):
            numbered, count = ndimage.label(mask == 1, np.ones((3, 3)))
            shares += [above[numbered == region].mean() for region in range(1, count + 1)]
        overlaps.append(float(np.mean(shares)))
        rates.append(float((flagged & (masks < 1)).sum() / (1 - masks).sum()))
    kept = [(rate, overlap) for rate, overlap in zip(rates, overlaps, strict=True) if rate < 0.3]
    x, y = np.array(kept).T
    return float(auc(x / x.max(), y))


def _inner(maps: Tensor) -> Tensor:
    border = maps.shape[-1] // 16
    return maps[:, border:-border, border:-border]
