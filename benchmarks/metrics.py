"""Measure our metrics beside others' on the same maps, and add a table to RESULTS.md."""

import os
import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's module.
HERE = Path(__file__).resolve().parent
elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]
sys.path[:] = [*elsewhere, str(HERE.parent / "detectors"), str(HERE)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow each other on a busy machine

import argparse  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import numpy as np  # noqa: E402
from parts.figures import keep, section  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402

from ad_detectors.metrics.bootstrap import Evidence, intervals  # noqa: E402
from ad_detectors.metrics.counts import count, thresholds  # noqa: E402
from ad_detectors.metrics.pixels import PixelRanking, aupro, pixel_measures  # noqa: E402
from ad_detectors.metrics.published import pro_compat  # noqa: E402
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max  # noqa: E402

if TYPE_CHECKING:
    from parts.metric_peers import Maps, Masks

SIDE = 256
BRIEF = 0.2  # seconds: what is over sooner is measured again
GOAL = 40  # times faster than the published procedure, for every threshold there is
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics", "anomalib", "adeval")
HEADERS = ("measure", "by", "value", "off ours by", "seconds of CPU (least of runs)", "of ours", "note")


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--many", type=int, default=10_000, help="pictures of the streamed run; 0 for none")
    parser.add_argument("--streamed", type=int, help=argparse.SUPPRESS)  # the streamed run's own process
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    if given.streamed:
        _streamed(given.streamed)
        return
    warnings.simplefilter("ignore")
    rows = [*_beside_others(*_scene(given.pictures), given.runs)]
    if given.many:
        rows.append(_many(given.many))
    without = os.environ.get("NPY_DISABLE_CPU_FEATURES", "")
    command = " ".join(["python benchmarks/metrics.py", *sys.argv[1:]])
    if without:
        command = f'NPY_DISABLE_CPU_FEATURES="{without}" {command}'
    words = [
        f"The maps: {given.pictures} of {SIDE} x {SIDE}, every second one with two defects. "
        "The image scores: 10,000. On one thread; CPU seconds, since others may compute here meanwhile."
    ]
    text = section("metrics", HEADERS, rows, command, PACKAGES, words)
    print(text)
    if not given.no_write:
        keep(text)


def _beside_others(maps: "Maps", masks: "Masks", runs: int) -> Iterator[tuple[str, ...]]:
    from parts.metric_peers import image_scores, peers, torch  # here: torch is no part of the streamed run

    torch.set_num_threads(1)  # as many as ours takes

    scores, labels = image_scores()
    ours: dict[str, Callable[[], float | None]] = {
        "image AUROC": lambda: auroc(scores, labels),
        "image AP": lambda: average_precision(scores, labels),
        "image F1-max": lambda: f1_max(scores, labels),
        "pixel AUROC": lambda: auroc(maps, masks),
        "pixel AP": lambda: average_precision(maps, masks),
        "pixel F1-max": lambda: f1_max(maps, masks),
        "AUPRO 0.3": lambda: aupro(maps, masks, 0.3),
        "AUPRO 0.05": lambda: aupro(maps, masks, 0.05),
        "all five pixel measures": lambda: pixel_measures(maps, masks).auroc,
        "their 95 % intervals": lambda: _intervals(maps, masks),
    }
    found: dict[str, tuple[float, float]] = {}
    for measure, call in ours.items():
        value, seconds = _timed(call, runs)
        found[measure] = (value or 0.0, seconds)
        yield (measure, "adctl", "" if " 9" in measure else f"{value:.7f}", "", f"{seconds:.5f}", "1", "")
    for peer in peers(maps, masks):
        print(f"measuring {peer.package}: {peer.measure}", file=sys.stderr, flush=True)
        if peer.call is None:
            yield (peer.measure, peer.package, "-", "-", "-", "-", peer.note)
            continue
        value, seconds = _timed(peer.call, runs)
        own, base = found[peer.measure]
        cells = (
            f"{value:.7f}",
            f"{abs((value or 0.0) - own):.1e}",
            f"{seconds:.5f}",
            f"{seconds / base:.1f} x",
        )
        yield (peer.measure, peer.package, *cells, peer.note)
    yield from _beside_the_published(maps, masks, found["AUPRO 0.3"][1])


def _beside_the_published(maps: "Maps", masks: "Masks", exact: float) -> Iterator[tuple[str, ...]]:
    """Time the published 200 thresholds: our number for them, and their procedure, which takes minutes."""
    from parts.published_pro import procedure

    print("measuring the published procedure", file=sys.stderr, flush=True)
    value, seconds = _timed(lambda: pro_compat(maps, masks), 2)
    yield ("pro_compat", "adctl", f"{value:.7f}", "", f"{seconds:.5f}", "", "")
    theirs, long = _timed(lambda: procedure(maps, masks), 1)
    off, ratio = f"{abs((theirs or 0.0) - (value or 0.0)):.1e}", long / exact
    met = "yes" if ratio >= GOAL else "no"
    note = f"200 thresholds; of ours exact, AUPRO 0.3: goal {GOAL} x, met: {met}"
    yield ("pro_compat", "its procedure", f"{theirs:.7f}", off, f"{long:.1f}", f"{ratio:.0f} x", note)


def _intervals(maps: "Maps", masks: "Masks") -> float:
    ranking = PixelRanking()
    ranking.add(maps, masks)
    counts = count(((i, maps[i], masks[i]) for i in range(len(maps))), thresholds(ranking))
    evidence = Evidence(maps.max((1, 2)), masks.any((1, 2)), counts)
    return intervals(evidence)["aupro_30"].point


def _timed(call: Callable[[], float | None], runs: int) -> tuple[float | None, float]:
    """Return the value and the least time: the others were lengthened by whoever shares the caches."""
    seconds: list[float] = []
    while len(seconds) < runs or (sum(seconds) < BRIEF and len(seconds) < 50):
        began = time.process_time()
        value = call()
        seconds.append(time.process_time() - began)
    return value, min(seconds)


def _scene(pictures: int) -> "tuple[Maps, Masks]":
    """Return smooth maps, as upsampled ones are, that show most of their defects."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(pictures, SIDE, SIDE)).astype(np.float32)
    maps = 8 * gaussian_filter(noise, (0, 4, 4))
    masks = np.zeros(maps.shape, np.bool_)
    for index in range(0, pictures, 2):
        masks[index, 50 : 60 + index % 90, 40 : 48 + index % 70] = True
        masks[index, 150:160, 40:60] = True
    maps[masks] += np.float32(1.5)
    return maps, masks


def _many(pictures: int) -> tuple[str, ...]:
    """Stream very many pictures in a process of its own, whose memory is then known."""
    print(f"streaming {pictures} pictures", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE / "metrics.py"), "--streamed", str(pictures)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    value, adding, measuring, memory, spilled = map(float, said)
    note = f"{pictures} pictures one by one, adding {adding:.0f} s, measuring {measuring:.0f} s; "
    note += f"at most {memory:.2f} GiB in memory, {spilled:.2f} GiB in a file"
    total = f"{adding + measuring:.1f}"
    return ("all five pixel measures", "adctl, streamed", f"{value:.7f}", "", total, "", note)


def _streamed(pictures: int) -> None:
    maps, masks = _scene(64)
    random = np.random.default_rng(1)
    shifts = random.normal(size=pictures).astype(np.float32)
    ranking, adding = PixelRanking(), 0.0
    for index, shift in enumerate(shifts):
        values = maps[index % 64] * (1 + shift / 10) + shift / 20  # no two pictures alike
        began = time.process_time()
        ranking.add(values, masks[index % 64])
        adding += time.process_time() - began
    began = time.process_time()
    value = ranking.measures().auroc
    measuring = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(value, adding, measuring, memory, ranking.spilled / 2**30)


if __name__ == "__main__":
    main()
