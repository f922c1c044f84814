"""Record what the published DDAD code computes: python tests/parity/record_ddad.py FOLDER_OF_ITS_CHECKOUT.

The folder holds github.com/arimousa/DDAD at commit 4323a150, whose imports (kornia 0.6.12, matplotlib,
scikit-image) must be installed beside torch. None of its code is copied: only numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import ddad_parity_cases as cases  # noqa: E402
from ad_detectors.nets.unet import UNetShape, build_unet  # noqa: E402


@contextmanager
def feeding(noise: Callable[[], Tensor]) -> Iterator[None]:
    """Have the published code draw its noise from ours."""
    drawn = torch.randn_like
    torch.randn_like = lambda *_args, **_kwargs: noise()
    try:
        yield
    finally:
        torch.randn_like = drawn


def settings() -> Any:
    names = cases.TRAJECTORY
    model = SimpleNamespace(
        device="cpu",
        beta_start=0.0001,
        beta_end=0.02,
        trajectory_steps=1000,
        test_trajectoy_steps=names["noise_step"],
        skip=names["skip"],
        eta=names["eta"],
        DLlambda=cases.LAMBDA,
        v=cases.V,
    )
    return SimpleNamespace(model=model, data=SimpleNamespace(image_size=cases.SIZE))


def network(name: str) -> Any:
    from unet import UNetModel

    size, base, heads, dropout, _ = cases.UNETS[name]
    ours = build_unet(UNetShape(image_size=size, base_channels=base, heads=heads, dropout=dropout), 0)
    theirs = UNetModel(size, base, n_heads=heads, dropout=dropout, in_channels=3)
    theirs.load_state_dict(cases.weights(ours.state_dict(), name))
    return theirs.eval()


def unets() -> Iterator[tuple[str, Tensor]]:
    for name, (size, _, _, _, count) in cases.UNETS.items():
        x, t = cases.normal(f"{name}/x", (count, 3, size, size)), torch.tensor(cases.TIMES[:count])
        with torch.no_grad():
            yield name, network(name)(x, t.float())


def reconstruction() -> Iterator[tuple[str, Tensor]]:
    from reconstruction import Reconstruction

    net = network(cases.SMALL)
    source, target = cases.images("source", 2, 64), cases.images("target", 2, 64)
    with feeding(cases.noise_of("trajectory", source.shape)), torch.no_grad():
        states = Reconstruction(net, settings())(source, target, cases.TRAJECTORY["w"])
    yield from ((f"x-{number}", state) for number, state in enumerate(states))


def training() -> Iterator[tuple[str, Tensor]]:
    from loss import get_loss

    net = network(cases.SMALL)
    pictures = cases.images("training", 2, 64)
    with feeding(cases.noise_of("training", pictures.shape)):
        loss = get_loss(net, pictures, torch.tensor(cases.TIMES), settings())
    loss.backward()
    yield "training-loss", loss.detach()[None]
    yield "training-gradients", norms(net)


def norms(net: Any) -> Tensor:
    found = {name: each.grad.norm() for name, each in net.named_parameters() if each.grad is not None}
    return torch.stack([found[name] for name in sorted(found)])


def backbones() -> tuple[Any, Any]:
    from resnet import resnet50

    adapted, frozen = resnet50(), resnet50()
    frozen.load_state_dict(cases.weights(frozen.state_dict(), "frozen"))
    adapted.load_state_dict(cases.perturbed(frozen.state_dict(), "adapted"))
    return adapted.train(), frozen.eval()


def adaptation() -> Iterator[tuple[str, Tensor]]:
    from feature_extractor import loss_fucntion, transforms

    # In single precision the gradients of the first layers hang on which activations round to zero.
    adapted, frozen = (each.double() for each in backbones())
    scaled = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pictures = (cases.images(name, 4, 64).double() for name in ("rebuilt", "target"))
    rebuilt, target = (scaled((each + 1) / 2) for each in pictures)
    of_rebuilt, of_target = adapted(rebuilt), adapted(target)
    loss = loss_fucntion(of_rebuilt, of_target, frozen(target), frozen(rebuilt), settings())
    loss.backward()
    yield "adaptation-loss", loss.detach()[None]
    yield "adaptation-gradients", norms(adapted)
    yield "adaptation-means", adapted.state_dict()["layer3.5.bn3.running_mean"]
    yield "adaptation-variances", adapted.state_dict()["layer1.0.bn1.running_var"]


def scoring() -> Iterator[tuple[str, Tensor]]:
    from anomaly_map import feature_distance, heat_map, pixel_distance
    from torchvision.transforms import CenterCrop

    adapted, _ = backbones()
    shown, rebuilt = cases.images("shown", 3, cases.SIZE), cases.images("rebuilt", 3, cases.SIZE)
    with torch.no_grad():
        yield "pixel-distance", pixel_distance(rebuilt, shown)
        yield "feature-distance", feature_distance(rebuilt, shown, adapted, settings())
        maps = CenterCrop(224)(heat_map(rebuilt, shown, adapted, settings()))
    yield "maps", maps
    yield "scores", maps.amax(dim=(1, 2, 3))


def main(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    parts = (unets, reconstruction, training, adaptation, scoring)
    recorded = {name: cases.summary(tensor) for part in parts for name, tensor in part()}
    np.savez_compressed(cases.RECORDING, **recorded)
    print(f"{cases.RECORDING}: {len(recorded)} tensors, {cases.RECORDING.stat().st_size} bytes")
    for name, numbers in recorded.items():
        print(f"{name:24} {numbers[0]:.6g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
