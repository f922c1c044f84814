"""Measure how fast defects are planted, and add the figures to RESULTS.md: `python benchmarks/defects.py`."""

import os
import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's module.
HERE = Path(__file__).resolve().parent
elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]
sys.path[:] = [*elsewhere, str(HERE.parent / "detectors"), str(HERE)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow each other on a busy machine

import argparse  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from parts import peer_perlin  # noqa: E402
from parts.figures import Row, keep, report  # noqa: E402
from torch import Tensor  # noqa: E402

from ad_detectors.data import decoding  # noqa: E402
from ad_detectors.data.defects import EVERY_KIND, noise, spoil  # noqa: E402
from ad_detectors.data.layout import open_category  # noqa: E402
from ad_detectors.data.synth.category import category_make  # noqa: E402
from ad_detectors.data.synth.picture import exposed, render  # noqa: E402
from ad_detectors.data.synth.scene import draw_scene  # noqa: E402

SIZE = 256
GOAL = 100.0  # images a second on one core


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--category", type=Path, help="a category's folder; without it screws are drawn")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    torch.set_num_threads(1)
    images, source = _images(given.category, given.images)
    jobs = _jobs(images)
    rates = _rates(jobs, given.rounds, len(images))
    rows = [Row(what=what, values=rates[what], unit="/s", note=_note(rates[what])) for what in jobs]
    rows += _ratios(rates)
    words = [
        f"{len(images)} images of {SIZE} x {SIZE}, {source}; one thread, by turns. Anomalib is given no "
        "folder of textures, so both make their own; ours also looks where the object is, hashes the "
        "pixels, and tries again until a defect can be seen and its mask is exact.",
    ]
    shown = ["PATH" if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = " ".join(["python benchmarks/defects.py", *shown])
    text = report("planting defects", rows, command, ("torch", "numpy", "scipy"), words)
    print(text)
    if not given.no_write:
        keep(text)


def _images(category: Path | None, count: int) -> tuple[Tensor, str]:
    if category is None:
        random = np.random.default_rng(0)
        scenes = [draw_scene(category_make(0), random) for _ in range(count)]
        drawn = [exposed(render(scene, SIZE), scene).transpose(2, 0, 1) for scene in scenes]
        return torch.from_numpy(np.stack(drawn)), "drawn screws"
    samples = open_category(category).train[:count]
    pixels = np.stack([decoding.picture(sample.path, SIZE) for sample in samples])
    return torch.from_numpy(pixels), category.name


def _jobs(images: Tensor) -> dict[str, Callable[[], object]]:
    """Return what is timed: each handles all images once."""
    jobs: dict[str, Callable[[], object]] = {
        f"ours, {kind}": lambda kind=kind: spoil(images, 1, [kind]) for kind in EVERY_KIND
    }
    jobs["ours, all kinds"] = lambda: spoil(images, 1)
    jobs["our noise alone"] = lambda: _noise(len(images))
    try:
        theirs, module = peer_perlin.spoiler(), peer_perlin.module()
    except peer_perlin.PeerMissing as missing:
        print(missing, file=sys.stderr)
        return jobs
    jobs["anomalib, perlin"] = lambda: theirs(images)
    jobs["anomalib's noise alone"] = lambda: [
        module.generate_perlin_noise(SIZE, SIZE, scale=(8, 8), device=torch.device("cpu")) for _ in images
    ]
    return jobs


def _noise(count: int) -> None:
    """Make as much noise as the peer: every pixel computed, none enlarged, and all of one grid at once."""
    random = np.random.default_rng(0)
    line = np.arange(SIZE, dtype=np.float32) * np.float32(8 / SIZE)
    for _ in range(count // 4):
        noise.perlin(noise.lattice(random, 4), line[:, None], line[None, :])


def _rates(jobs: dict[str, Callable[[], object]], rounds: int, count: int) -> dict[str, list[float]]:
    """Return images a second in every round; by turns, so that a busy machine is busy for all."""
    rates: dict[str, list[float]] = {what: [] for what in jobs}
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for what, job in jobs.items():
            begun = time.process_time()
            job()
            rates[what].append(count / (time.process_time() - begun))
    return rates


def _ratios(rates: dict[str, list[float]]) -> list[Row]:
    pairs = (("ours, perlin", "anomalib, perlin"), ("our noise alone", "anomalib's noise alone"))
    return [
        Row(what=f"{ours} over {theirs}", values=_each(rates[ours], rates[theirs]), unit="x")
        for ours, theirs in pairs
        if theirs in rates
    ]


def _each(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def _note(values: Sequence[float]) -> str:
    return "" if float(np.median(values)) >= GOAL else f"below {GOAL:g} images a second"


if __name__ == "__main__":
    main()
