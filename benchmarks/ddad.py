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
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from functools import partial  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from parts import ddad_calls as calls  # noqa: E402
from parts import ddad_memory as memory  # noqa: E402
from parts import ddad_sides as sides  # noqa: E402
from parts import ddad_without as less  # noqa: E402
from parts.ddad_beside import Beside, timed  # noqa: E402
from parts.figures import keep, section, shortened  # noqa: E402

from ad_detectors import heap  # noqa: E402

HEADERS = ("what", "ours", "the other", "ratio", "aim", "met", "note")
VERSIONS = ("torch", "torchvision", "timm", "numpy")
NOT_MIXED = "- without bfloat16"
Clock = Callable[[], float]  # makes a call and returns its seconds
exact_training = partial(calls.our_training, mixed=False)


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


@dataclass(frozen=True)
class Bench:
    """What the parts measure with."""

    scene: sides.Scene
    given: argparse.Namespace
    cache: Path
    beside: Beside

    @property
    def on_card(self) -> bool:
        """Whether a card computes."""
        return self.scene.device.type == "cuda"

    def by_turns(self, *clocks: Clock) -> list[list[float]]:
        """Return the seconds of each call, made in turns so that a busy machine slows all alike."""
        for each in clocks:
            each()
        taken: list[list[float]] = [[] for _ in clocks]
        for _ in range(self.given.runs):
            for seconds, each in zip(taken, clocks, strict=True):
                seconds.append(each())
        return taken

    def gives_back(self, what: str, ours: calls.Call) -> Line:
        """Measure ours beside itself in a process that gives freed memory back."""
        measured = self.by_turns(clock(ours), self.beside.seconds(f"{what}/ours"))
        return Line(what="- without keeping freed memory", ours=measured[0], other=measured[1])


def clock(call: calls.Call) -> Clock:
    """Return what makes a call and returns its seconds."""
    return lambda: timed(call)[0]


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    if given.alone:
        if given.alone.endswith(memory.SIDES[0]):
            heap.keep_freed()
        scene = sides.Scene(given.scene, given.size, whole=given.whole)
        print(memory.resident(scene, *given.alone.split(":")))
        return
    heap.keep_freed()  # as attempts do; the published code's processes would not
    with tempfile.TemporaryDirectory(prefix="ddad-") as scratch:
        folder = Path(scratch)
        sides.make_sources(folder, given.category)
        scene = sides.Scene(folder, given.size, torch.device(given.device), given.whole)
        lines = []
        with Beside(scene, folder / "cache", given.threads) as beside:
            bench = Bench(scene, given, folder / "cache", beside)
            for part in [PARTS[name] for name in given.only or PARTS]:
                for measured in part(bench):
                    line = replace(measured, aim=None) if bench.on_card else measured
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


def _training(bench: Bench) -> Iterator[Line]:
    scene, cache = bench.scene, bench.cache
    losses = [make(scene, cache, dropout=0.0)() for make in (exact_training, calls.plain_training)]
    apart = abs(losses[0] / losses[1] - 1)
    ours = calls.our_training(scene, cache)
    measured = bench.by_turns(clock(ours), bench.beside.seconds("training/published"))
    note = f"{sides.BATCH} images; without dropout the losses differ by {apart:.0e} of their size"
    yield Line(what="step of training", ours=measured[0], other=measured[1], aim=1.3, note=note)
    if bench.on_card:
        measured = bench.by_turns(clock(ours), clock(calls.our_training(scene, cache, mixed=False)))
        yield Line(what=NOT_MIXED, ours=measured[0], other=measured[1])
    for without in less.TRAINING:
        with without.taken():
            poorer = calls.our_training(scene, cache, fused=without.fused)

        def poor(poorer: calls.Call = poorer, without: less.Without = without) -> float:
            with without.taken():
                return timed(poorer)[0]

        measured = bench.by_turns(clock(ours), poor)
        yield Line(what=f"- without {without.what}", ours=measured[0], other=measured[1])
    yield bench.gives_back("training", ours)
    if bench.given.compiled:
        training, batch = sides.OurTraining(scene), sides.training_input(scene)
        training.net.compile()
        seconds, _ = timed(lambda: training.step(*batch))
        measured = bench.by_turns(clock(ours), clock(lambda: training.step(*batch)))
        note = f"{seconds:.0f} s to compile"
        yield Line(what="- with torch.compile", ours=measured[0], other=measured[1], note=note)


def _reconstruction(bench: Bench) -> Iterator[Line]:
    scene, cache = bench.scene, bench.cache
    ours = calls.our_reconstruction(scene, cache)
    exact = calls.our_reconstruction(scene, cache, mixed=False)
    apart = _apart(exact(), calls.plain_reconstruction(scene, cache, same=True)())
    measured = bench.by_turns(clock(ours), bench.beside.seconds("reconstruction/published"))
    note = f"{sides.BATCH} images, 10 steps; {apart}"
    yield Line(what="reconstruction", ours=measured[0], other=measured[1], aim=1.4, note=note)
    if bench.on_card:
        measured = bench.by_turns(clock(ours), clock(exact))
        yield Line(what=NOT_MIXED, ours=measured[0], other=measured[1])
    for without in less.SCORING:
        with without.taken():
            poor = bench.by_turns(clock(calls.our_reconstruction(scene, cache)))
        again = bench.by_turns(clock(ours))
        yield Line(what=f"- without {without.what}", ours=again[0], other=poor[0])
    whole = calls.our_reconstruction(scene, cache, abreast=False)
    measured = bench.by_turns(clock(ours), clock(whole))
    yield Line(what="- without halves of a batch at once", ours=measured[0], other=measured[1])
    yield bench.gives_back("reconstruction", ours)


def _distances(bench: Bench) -> Iterator[Line]:
    scene, cache = bench.scene, bench.cache
    ours = calls.our_map(scene, cache)
    apart = _apart(ours(), calls.plain_map(scene, cache)())
    measured = bench.by_turns(clock(ours), bench.beside.seconds("map/published"))
    note = f"{sides.BATCH} images; {apart}"
    yield Line(what="map: two distances, blur", ours=measured[0], other=measured[1], note=note)
    once = clock(calls.features(scene, cache, how="once"))
    for what, how in (("one pass for both", "twice"), ("leaving out the last layers", "to the head")):
        measured = bench.by_turns(once, clock(calls.features(scene, cache, how=how)))
        yield Line(what=f"- without {what}", ours=measured[0], other=measured[1])
    yield bench.gives_back("map", ours)


def _loading(bench: Bench) -> Iterator[Line]:
    scene, cache = bench.scene, bench.cache
    fresh = [cache / f"fresh-{number}" for number in range(bench.given.runs)]
    first = [timed(lambda kept=kept: calls.our_loading(scene, kept)())[0] for kept in fresh]
    later = clock(calls.our_loading(scene, cache))
    measured = bench.by_turns(later, bench.beside.seconds("loading/published"))
    note = f"{calls.STEPS} batches of {sides.BATCH}, files of {sides.SOURCE} px"
    yield Line(
        what="loading an epoch, but for the first", ours=measured[0], other=measured[1], aim=20.0, note=note
    )
    note = "every file is hashed and decoded, and kept"
    yield Line(what="loading the first epoch", ours=first, other=measured[1], note=note)


def _evaluation(bench: Bench) -> Iterator[Line]:
    """Measure once: it takes minutes, so nothing shorter than that disturbs it."""
    scene, cache, beside = bench.scene, bench.cache, bench.beside
    theirs, found = beside.timed("evaluation/published")
    if bench.on_card:
        theirs, _ = beside.timed("evaluation/published under noise of its own")
    detector = sides.our_detector(scene, compat=False)
    cold, _ = timed(lambda: sides.evaluate_ours(scene, detector, cache / "cold"))
    warm, _ = timed(lambda: sides.evaluate_ours(scene, detector, cache / "cold"))
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
    if bench.on_card:
        return  # there it is what is done anyway
    sooner = sides.our_detector(scene, compat=True, score_bfloat16=True)
    halved, rough = timed(lambda: sides.evaluate_ours(scene, sooner, cache / "halved"))
    far = np.array([abs(image.score / by_name[Path(image.path).name] - 1) for image in rough.images])
    note = f"asked for; image scores differ by {np.median(far):.0e} in the median, {far.max():.0e} at most"
    yield Line(what="- rebuilding in bfloat16", ours=[halved], other=[theirs], aim=2.0, note=note)


def _training_memory(bench: Bench) -> Iterator[Line]:
    yield _memory("memory of a step of training", "train", bench)


def _evaluation_memory(bench: Bench) -> Iterator[Line]:
    yield _memory("memory of the evaluation", "evaluate", bench)


def _memory(what: str, job: str, bench: Bench) -> Line:
    scene, threads = bench.scene, bench.given.threads
    if bench.on_card:
        taken = [[memory.on_card(scene, job, side)] for side in memory.SIDES]
        return Line(
            what=what, ours=taken[0], other=taken[1], note="peak on the card, weights and all", unit="MiB"
        )
    taken = [[memory.in_process(scene, threads, job, side) for _ in range(2)] for side in memory.SIDES]
    note = "peak beyond what stands before it begins: Python, torch, weights"
    return Line(what=what, ours=taken[0], other=taken[1], aim=3.0, note=note, unit="MiB")


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
        "(parts/plain_ddad.py), in a process where freed memory is given back, as it is in any that does not",
        "ask to keep it; in rows that begin with a dash the other is ours without one thing.",
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
