"""Measure DDAD beside its published procedure and add a table to RESULTS.md: `python benchmarks/ddad.py`.

The published procedure is written down plainly in parts/plain_ddad.py and parts/plain_unet.py; that it
computes what ours does is tested (tests/unit/detectors/test_plain_ddad.py) and said here again, at full size.
"""

import os
import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's module.
HERE = Path(__file__).resolve().parent
elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]
sys.path[:] = [*elsewhere, str(HERE.parent / "detectors"), str(HERE)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow each other on a busy machine

import argparse  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from itertools import count  # noqa: E402
from typing import Any, TypeVar  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from parts import ddad_memory as memory  # noqa: E402
from parts import ddad_sides as sides  # noqa: E402
from parts import ddad_without as less  # noqa: E402
from parts import plain_ddad as plain  # noqa: E402
from parts.figures import keep, section, shortened  # noqa: E402

from ad_detectors import determinism  # noqa: E402
from ad_detectors.backbones.distance import feature_distance, pixel_distance  # noqa: E402
from ad_detectors.data.loading import Batches  # noqa: E402
from ad_detectors.diffusion import schedule  # noqa: E402
from ad_detectors.diffusion.conditioned import Trajectory, reconstruct  # noqa: E402
from ad_detectors.diffusion.learning import predictor  # noqa: E402
from ad_detectors.maps import blurred  # noqa: E402
from ad_detectors.zoo.ddad.scoring import batch_weight  # noqa: E402

HEADERS = ("what", "ours", "the other", "ratio", "aim", "met", "note")
VERSIONS = ("torch", "torchvision", "timm", "numpy")
NOT_MIXED = "- without bfloat16"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Line:
    """Two sides of one thing, in seconds or MiB: ours, and the published one or ours without something."""

    what: str
    ours: Sequence[float]
    other: Sequence[float]
    aim: float | None = None
    note: str = ""
    unit: str = "s"

    def cells(self) -> list[str]:
        """Return the cells of its row; the ratio is that of the medians."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.other)
        ratio = theirs / ours
        met = "" if self.aim is None else "yes" if ratio >= self.aim else "no"
        aim = "" if self.aim is None else f"{self.aim:g} x"
        digits = 3 if self.unit == "s" else 0
        sizes = [f"{each:.{digits}f} {self.unit}" for each in (ours, theirs)]
        return [self.what, *sizes, f"{ratio:.2f} x", aim, met, self.note]


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    if given.alone:
        scene = sides.Scene(given.scene, given.size, whole=given.whole)
        print(memory.resident(scene, *given.alone.split(":")))
        return
    with tempfile.TemporaryDirectory(prefix="ddad-") as scratch:
        folder = Path(scratch)
        sides.make_sources(folder, given.category)
        scene = sides.Scene(folder, given.size, torch.device(given.device), given.whole)
        lines = []
        for part in [PARTS[name] for name in given.only or PARTS]:
            for measured in part(scene, given, folder / "cache"):
                line = measured if given.device == "cpu" else replace(measured, aim=None)
                print(" | ".join(line.cells()), file=sys.stderr, flush=True)
                lines.append(line)
    command = " ".join(["python benchmarks/ddad.py", *shortened(sys.argv[1:])])
    text = section(
        "DDAD beside its published procedure",
        HEADERS,
        [line.cells() for line in lines],
        command,
        VERSIONS,
        _words(given),
    )
    print(text)
    if not given.no_write:
        keep(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--category", type=Path, help="a category's folder; without it screws are drawn")
    parser.add_argument("--size", type=int, default=64, choices=(32, 64, 128, 256), help="pixels")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="aims are for a CPU alone")
    parser.add_argument("--whole", action="store_true", help="DDAD (64 channels, 4 heads), not DDAD-S")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compiled", action="store_true", help="try torch.compile too, which takes minutes")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure a part alone")
    parser.add_argument("--no-write", action="store_true", help="only print")
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)  # of a process of its own
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    return parser.parse_args()


def _training(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    del cache
    batch = sides.training_input(scene)
    both = sides.OurTraining, sides.PlainTraining
    losses = [
        sides.OurTraining(scene, 0.0, mixed=False).step(*batch),
        sides.PlainTraining(scene, 0.0).step(*batch),
    ]
    apart = abs(losses[0] / losses[1] - 1)
    ours, theirs = (side(scene) for side in both)
    measured = _by_turns(given.runs, lambda: ours.step(*batch), lambda: theirs.step(*batch))
    note = f"{sides.BATCH} images; without dropout the losses differ by {apart:.0e} of their size"
    yield Line(what="step of training", ours=measured[0], other=measured[1], aim=1.3, note=note)
    if given.device == "cuda":
        exact = sides.OurTraining(scene, mixed=False)
        measured = _by_turns(given.runs, lambda: ours.step(*batch), lambda: exact.step(*batch))
        yield Line(what=NOT_MIXED, ours=measured[0], other=measured[1])
    for without in less.TRAINING:
        with without.taken():
            poorer = sides.OurTraining(scene, fused=without.fused)

        def poor(poorer: sides.OurTraining = poorer, without: less.Without = without) -> float:
            with without.taken():
                return poorer.step(*batch)

        measured = _by_turns(given.runs, lambda: ours.step(*batch), poor)
        yield Line(what=f"- without {without.what}", ours=measured[0], other=measured[1])
    if given.compiled:
        compiled = sides.OurTraining(scene)
        compiled.net.compile()
        seconds = _seconds(lambda: compiled.step(*batch))
        measured = _by_turns(given.runs, lambda: ours.step(*batch), lambda: compiled.step(*batch))
        note = f"{seconds:.0f} s to compile"
        yield Line(what="- with torch.compile", ours=measured[0], other=measured[1], note=note)


def _reconstruction(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    images, shown = sides.some_images(scene, cache)
    config, net, plain_net = scene.config, sides.our_net(scene).eval(), sides.plain_net(scene).eval()
    net.move(scene.device)
    way = {"noise_step": config.noise_step, "skip": config.skip, "eta": config.eta}
    linear = schedule.linear()

    def ours(*, mixed: bool = True) -> torch.Tensor:
        predict = predictor(net, scene.device, mixed)

        def rebuilt(part: torch.Tensor) -> tuple[torch.Tensor]:
            some = ((part + 1) * 127.5).round().to(torch.uint8)
            noise = sides.noise_for(some.cpu(), scene.device)
            return (reconstruct(predict, part, part, linear, Trajectory(w=config.w, **way), noise),)

        with torch.no_grad():
            return determinism.microbatched(rebuilt, shown)[0]

    def theirs(*, same: bool = given.device == "cpu") -> torch.Tensor:
        noise = sides.noise_for(images, scene.device) if same else lambda: torch.randn_like(shown)
        with torch.no_grad():
            return plain.reconstructions(plain_net, shown, w=config.w, **way, noise=noise)[-1]

    note = f"{sides.BATCH} images, 10 steps; {_apart(ours(mixed=False), theirs(same=True))}"
    measured = _by_turns(given.runs, ours, theirs)
    yield Line(what="reconstruction", ours=measured[0], other=measured[1], aim=1.4, note=note)
    if given.device == "cuda":
        measured = _by_turns(given.runs, ours, lambda: ours(mixed=False))
        yield Line(what=NOT_MIXED, ours=measured[0], other=measured[1])
    for without in less.SCORING:
        with without.taken():
            net.move(scene.device)
            poor = [_seconds(ours) for _ in range(1 + given.runs)][1:]
        net.move(scene.device)
        again = [_seconds(ours) for _ in range(1 + given.runs)][1:]
        yield Line(what=f"- without {without.what}", ours=again, other=poor)


def _distances(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    _, shown = sides.some_images(scene, cache)
    spoilt = torch.randn(shown.shape, generator=torch.Generator().manual_seed(1)).to(scene.device)
    rebuilt = (shown + 0.1 * spoilt).clamp(-1, 1)
    whole, strides, config = sides.torchvision_net(), scene.config.feature_strides, scene.config
    extractor = sides.features.with_weights(sides.BACKBONE, strides, whole.state_dict()).to(scene.device)
    whole.to(scene.device)
    backbone = plain.Backbone(whole)

    def ours() -> torch.Tensor:
        with torch.no_grad():
            pixel = pixel_distance(shown, rebuilt)
            feature = feature_distance(extractor, shown, rebuilt, strides)
            weight = config.v * batch_weight(pixel, feature)
            return blurred(feature + weight * pixel, config.blur_sigma)

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            distances = plain.pixel_distance(shown, rebuilt), plain.feature_distance(backbone, shown, rebuilt)
            return plain.anomaly_maps(*distances, config.v, config.blur_sigma)

    note = f"{sides.BATCH} images; {_apart(ours(), theirs())}"
    measured = _by_turns(given.runs, ours, theirs)
    yield Line(what="map: two distances, blur", ours=measured[0], other=measured[1], note=note)

    def twice() -> torch.Tensor:
        with torch.no_grad():
            features = [extractor((each + 1) / 2, strides) for each in (shown, rebuilt)]
            return sum((a - b).sum() for a, b in zip(*features, strict=True))

    def once() -> torch.Tensor:
        with torch.no_grad():
            return feature_distance(extractor, shown, rebuilt, strides)

    measured = _by_turns(given.runs, once, twice)
    yield Line(what="- without one pass for both", ours=measured[0], other=measured[1])

    def to_the_head() -> torch.Tensor:
        with torch.no_grad():
            return whole(torch.cat([shown, rebuilt]))

    measured = _by_turns(given.runs, once, to_the_head)
    yield Line(what="- without leaving out the last layers", ours=measured[0], other=measured[1])


def _loading(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    steps = sides.PICTURES // sides.BATCH

    def ours(kept: Path) -> None:
        for _ in Batches(scene.train(kept), batch_size=sides.BATCH, seed=0, stop=steps, workers=2):
            pass

    def theirs() -> None:
        for _ in sides.epoch(scene):
            pass

    numbers = count()
    first = [_seconds(lambda: ours(cache / f"fresh-{next(numbers)}")) for _ in range(given.runs)]
    data = scene.train(cache)

    def later() -> None:
        for _ in Batches(data, batch_size=sides.BATCH, seed=0, stop=steps, workers=2):
            pass

    measured = _by_turns(given.runs, later, theirs)
    note = f"{steps} batches of {sides.BATCH}, files of {sides.SOURCE} px"
    yield Line(
        what="loading an epoch, but for the first", ours=measured[0], other=measured[1], aim=20.0, note=note
    )
    note = "every file is hashed and decoded, and kept"
    yield Line(what="loading the first epoch", ours=first, other=measured[1], note=note)


def _evaluation(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    """Measure once: it takes minutes, so nothing shorter than that disturbs it."""
    net, backbone = sides.plain_net(scene).eval(), plain.Backbone(sides.torchvision_net().to(scene.device))
    found = sides.evaluate_plain(scene, net, backbone) if given.device == "cuda" else None
    theirs, timed = _timed(lambda: sides.evaluate_plain(scene, net, backbone, same=found is None))
    found = found or timed
    detector = sides.our_detector(scene, compat=False)
    cold, _ = _timed(lambda: sides.evaluate_ours(scene, detector, cache / "cold"))
    warm, _ = _timed(lambda: sides.evaluate_ours(scene, detector, cache / "cold"))
    exact = sides.our_detector(scene, compat=True, mixed=False)
    same = sides.evaluate_ours(scene, exact, cache / "cold")
    by_name = {Path(image.path).name: image.score for image in same.images}
    scores = np.array([by_name[file.name] for file in scene.files("test").pictures], np.float32)
    apart = float(np.abs(scores - found.scores).max() / np.abs(found.scores).max())
    note = (
        f"{sides.PICTURES} pictures, from files of {sides.SOURCE} px to measures; ours has AUPRO at every "
        f"threshold and intervals; scored as published, image scores differ by {apart:.0e} of the greatest"
    )
    yield Line(what="whole evaluation", ours=[cold], other=[theirs], aim=2.0, note=note)
    yield Line(what="the same once the pictures are decoded", ours=[warm], other=[theirs])
    if given.device == "cuda":
        return  # there it is what is done anyway
    sooner = sides.our_detector(scene, compat=True, score_bfloat16=True)
    halved, rough = _timed(lambda: sides.evaluate_ours(scene, sooner, cache / "halved"))
    far = np.array([abs(image.score / by_name[Path(image.path).name] - 1) for image in rough.images])
    note = f"asked for; image scores differ by {np.median(far):.0e} in the median, {far.max():.0e} at most"
    yield Line(what="- rebuilding in bfloat16", ours=[halved], other=[theirs], aim=2.0, note=note)


def _training_memory(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    del cache
    yield _memory("memory of a step of training", "train", scene, given)


def _evaluation_memory(scene: sides.Scene, given: argparse.Namespace, cache: Path) -> Iterator[Line]:
    del cache
    yield _memory("memory of the evaluation", "evaluate", scene, given)


def _memory(what: str, job: str, scene: sides.Scene, given: argparse.Namespace) -> Line:
    if given.device == "cuda":
        taken = [[memory.on_card(scene, job, side)] for side in memory.SIDES]
        return Line(
            what=what, ours=taken[0], other=taken[1], note="peak on the card, weights and all", unit="MiB"
        )
    taken = [[memory.in_process(scene, given.threads, job, side) for _ in range(2)] for side in memory.SIDES]
    note = "peak beyond what stands before it begins: Python, torch, weights"
    return Line(what=what, ours=taken[0], other=taken[1], aim=3.0, note=note, unit="MiB")


def _by_turns(runs: int, *calls: Callable[[], Any]) -> list[list[float]]:
    """Return the seconds of each call, made in turns so that a busy machine slows all alike."""
    for call in calls:
        call()
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(runs):
        for seconds, call in zip(taken, calls, strict=True):
            seconds.append(_seconds(call))
    return taken


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - began, result


def _seconds(call: Callable[[], Any]) -> float:
    return _timed(call)[0]


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> str:
    apart = float((ours - theirs).abs().max() / theirs.abs().max())
    return f"results differ by {apart:.0e} of the greatest value"


def _words(given: argparse.Namespace) -> list[str]:
    net = "DDAD (64 channels, 4 heads)" if given.whole else "DDAD-S (32 channels, 2 heads)"
    where = f"{given.threads} threads"
    if given.device == "cuda":
        where = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, bfloat16 on our side"
    return [
        f"{net} at {given.size} px, WideResNet-101, {where};",
        "medians, the sides by turns. The other is the published procedure, written down plainly",
        "(parts/plain_ddad.py); in rows that begin with a dash it is ours without one thing.",
    ]


PARTS = {
    "training": _training,
    "reconstruction": _reconstruction,
    "map": _distances,
    "loading": _loading,
    "evaluation": _evaluation,
    "training-memory": _training_memory,
    "evaluation-memory": _evaluation_memory,
}

if __name__ == "__main__":
    main()
