"""Measure what a card needs for DDAD, ours by layout and precision beside the published procedure.

    python benchmarks/ddad_card.py --size 256

Prints milliseconds; what is on disk plays no part. `--device cpu --size 32` shows that it runs.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's module.
HERE = Path(__file__).resolve().parent
elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]
sys.path[:] = [*elsewhere, str(HERE.parent / "detectors"), str(HERE)]

import argparse  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from typing import Any  # noqa: E402
from unittest.mock import patch  # noqa: E402

import torch  # noqa: E402
from parts import ddad_sides as sides  # noqa: E402
from parts import plain_ddad as plain  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from ad_detectors import determinism  # noqa: E402
from ad_detectors.device import mixed_precision  # noqa: E402
from ad_detectors.diffusion import schedule  # noqa: E402
from ad_detectors.diffusion.conditioned import Trajectory, noise_of, reconstruct  # noqa: E402
from ad_detectors.diffusion.learning import predictor  # noqa: E402
from ad_detectors.diffusion.training import loss_at  # noqa: E402
from ad_detectors.nets import unet  # noqa: E402

LAYOUTS = {"channels first": (), "channels last": ("cpu", "cuda")}
WAY = {"noise_step": 250, "skip": 25, "eta": 1.0}


class Graphed(sides.OurTraining):
    """Steps whose network, forwards and backwards, is a CUDA graph."""

    def __init__(self, scene: sides.Scene) -> None:
        super().__init__(scene)
        images, t, _ = sides.training_input(scene)
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            self.call = torch.cuda.make_graphed_callables(self.net, (images, t))

    def step(self, images: Tensor, t: Tensor, noise: Tensor) -> float:
        """Do one step and return its loss."""
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            loss = loss_at(self.call, images, self.process, t, noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, choices=(32, 64, 128, 256), help="pixels")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--whole", action="store_true", help="DDAD (64 channels, 4 heads), not DDAD-S")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    scene = sides.Scene(Path("nowhere"), given.size, torch.device(given.device), given.whole)
    where = torch.cuda.get_device_name() if given.device == "cuda" else "a CPU"
    print(f"{'DDAD' if given.whole else 'DDAD-S'}, {sides.BATCH} images of {given.size} px on {where}")
    for kind, calls in (
        ("step of training", _training(scene)),
        ("call of the network", _calls(scene)),
        ("reconstruction", _reconstructions(scene)),
    ):
        for name, act in calls:
            seconds = _seconds(act, given.runs)
            print(f"{kind}, {name}: {1000 * seconds:.1f} ms", flush=True)


def _training(scene: sides.Scene) -> Iterator[tuple[str, Callable[[], Any]]]:
    batch = sides.training_input(scene)
    theirs = sides.PlainTraining(scene)
    yield "as published", lambda: theirs.step(*batch)
    for layout, devices in LAYOUTS.items():
        with patch.object(unet, "CHANNELS_LAST", devices):
            for words, mixed in (("bfloat16", True), ("float32", False)):
                ours = sides.OurTraining(scene, mixed=mixed)
                yield f"ours, {layout}, {words}", lambda ours=ours: ours.step(*batch)
            if scene.device.type == "cuda":
                graphed = Graphed(scene)
                yield f"ours, {layout}, bfloat16, as a graph", lambda ours=graphed: ours.step(*batch)


def _calls(scene: sides.Scene) -> Iterator[tuple[str, Callable[[], Any]]]:
    images = sides.training_input(scene)[0]
    t = torch.full((len(images),), 100, device=scene.device)

    def called(net: nn.Module, mixed: bool) -> None:
        with torch.no_grad(), mixed_precision(scene.device, mixed):
            net(images, t)

    theirs = sides.plain_net(scene).eval()
    yield "as published", lambda: called(theirs, False)
    for layout, devices in LAYOUTS.items():
        with patch.object(unet, "CHANNELS_LAST", devices):
            net = sides.our_net(scene).eval()
            net.move(scene.device)
            for words, mixed in (("bfloat16", True), ("float32", False)):
                yield f"ours, {layout}, {words}", lambda net=net, mixed=mixed: called(net, mixed)


def _reconstructions(scene: sides.Scene) -> Iterator[tuple[str, Callable[[], Any]]]:
    shown, linear, w = sides.training_input(scene)[0], schedule.linear(), scene.config.w
    theirs, net = sides.plain_net(scene).eval(), sides.our_net(scene).eval()
    net.move(scene.device)

    def published() -> None:
        with torch.no_grad():
            plain.reconstructions(theirs, shown, w=w, **WAY, noise=lambda: torch.randn_like(shown))

    def ours(mixed: bool) -> None:
        predict = predictor(net, scene.device, mixed)

        def rebuilt(part: Tensor) -> tuple[Tensor]:
            generators = [torch.Generator().manual_seed(number) for number in range(len(part))]
            noise = noise_of(generators, part.shape[1:], scene.device)
            return (reconstruct(predict, part, part, linear, Trajectory(w=w, **WAY), noise),)

        with torch.no_grad():
            determinism.microbatched(rebuilt, shown)

    yield "as published", published
    yield "ours, bfloat16", lambda: ours(True)
    yield "ours, float32", lambda: ours(False)


def _seconds(act: Callable[[], Any], runs: int) -> float:
    taken = []
    for number in range(2 + runs):
        began = time.perf_counter()
        act()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        if number >= 2:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
