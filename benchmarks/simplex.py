"""Measure how fast simplex noise is made, for RESULTS.md: `python benchmarks/simplex.py`."""

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
from collections.abc import Callable  # noqa: E402
from statistics import median  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from parts.figures import Row, keep, report  # noqa: E402

from ad_detectors.diffusion.simplex import Octaves, fields  # noqa: E402
from ad_detectors.diffusion.simplex.pool import SimplexPool  # noqa: E402

SIDE, T, OCTAVES = 256, 249, Octaves()
IMAGES = 8  # a batch of scoring; three fields for each
GOAL = 3.0


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(given.threads)
    torch.set_num_threads(given.threads)
    from parts import compiled_simplex

    def theirs() -> object:
        one = OCTAVES
        return compiled_simplex.field(3, SIDE, T, one.count, one.persistence, one.wavelength)

    apart = np.abs(fields([3], (SIDE, SIDE), T)[0].numpy() - theirs()).max()
    pool, random = SimplexPool(1, SIDE, OCTAVES, 16), torch.Generator().manual_seed(0)
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "published way, a field": (theirs, 1),
        "ours, one field alone": (lambda: fields([3], (SIDE, SIDE), T), 1),
        "ours, three of an image": (lambda: fields(range(3), (SIDE, SIDE), T), 3),
        f"ours, those of {IMAGES} images": (lambda: fields(range(3 * IMAGES), (SIDE, SIDE), T), 3 * IMAGES),
        "ours, pieces of the pool, in training": (lambda: pool.drawn((IMAGES, 3), random), 3 * IMAGES),
    }
    wall, cpu = _times(jobs, given.rounds)
    rows = [Row(what=f"{what}: of processors", values=cpu[what], unit="ms") for what in jobs]
    rows += [Row(what=f"{what}: on the clock", values=wall[what], unit="ms") for what in jobs]
    first, *ours = jobs
    for what in ours:
        ratios = [a / b for a, b in zip(cpu[first], cpu[what], strict=True)]
        note = "" if median(ratios) >= GOAL else f"below {GOAL:g}"
        rows.append(Row(what=f"{first} over {what}, of processors", values=ratios, unit="x", note=note))
    words = [
        f"{SIDE} x {SIDE} pixels, {OCTAVES.count} octaves, {given.threads} threads, by turns; milliseconds a "
        "field. On a busy machine the time of processors counts. Both make the same field: the greatest "
        f"difference was {apart:.1g}."
    ]
    command = " ".join(["python benchmarks/simplex.py", *sys.argv[1:]])
    text = report("simplex noise", rows, command, ("torch", "numba", "numpy"), words)
    print(text)
    if not given.no_write:
        keep(text)


def _times(
    jobs: dict[str, tuple[Callable[[], object], int]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return milliseconds a field in every round, by the clock and of processors."""
    wall: dict[str, list[float]] = {what: [] for what in jobs}
    cpu: dict[str, list[float]] = {what: [] for what in jobs}
    for job, _ in jobs.values():
        job()
    for _ in range(rounds):
        for what, (job, count) in jobs.items():
            begun, spent = time.perf_counter(), time.process_time()
            job()
            wall[what].append((time.perf_counter() - begun) / count * 1e3)
            cpu[what].append((time.process_time() - spent) / count * 1e3)
    return wall, cpu


if __name__ == "__main__":
    main()
