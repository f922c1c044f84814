"""Measure coreset and neighbour search, and add the figures to RESULTS.md: `python benchmarks/coreset.py`."""

import os
import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's module.
HERE = Path(__file__).resolve().parent
elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]
sys.path[:] = [*elsewhere, str(HERE.parent / "detectors"), str(HERE)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow each other on a busy machine

import argparse  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import TypeVar  # noqa: E402

import torch  # noqa: E402
from parts import peer_coreset  # noqa: E402
from parts.figures import Row, keep, report, shortened  # noqa: E402
from torch import Tensor  # noqa: E402

from ad_detectors.neighbours import coreset  # noqa: E402
from ad_detectors.neighbours.nearest import Bank  # noqa: E402

IMAGES, GRID, STRIDES = 209, 32, (8, 16)  # 214,016 rows of 40 + 112 numbers
QUERIES = 1024  # the patches of one image
LEAST_RATIO = 8.0
T = TypeVar("T")


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--category", type=Path, help="a category's folder; without it rows are made up")
    parser.add_argument("--theirs", type=int, default=120, help="picks of anomalib, which is slow")
    parser.add_argument("--ours", type=int, default=21_400, help="picks of ours: a tenth of the rows")
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    rows, source = _rows(given.category)
    print(f"{len(rows)} x {rows.shape[1]}, {source}", file=sys.stderr, flush=True)
    theirs, name, rate = _theirs(rows, given.theirs)
    figures, bank, words = _ours(rows, theirs, name, rate, given.ours)
    figures += _search(rows, bank)
    words = [f"The rows: {len(rows)} x {rows.shape[1]}, {source}. {torch.get_num_threads()} threads.", *words]
    command = " ".join(["python benchmarks/coreset.py", *shortened(sys.argv[1:])])
    text = report("coreset and nearest neighbours", figures, command, ("torch", "numpy"), words)
    print(text)
    if not given.no_write:
        keep(text)


def _theirs(rows: Tensor, size: int) -> tuple[list[int], str, Row]:
    """Return the peer's picks, its name, and its rate; the plain procedure where anomalib is missing."""
    try:
        peer_coreset.k_center_greedy()
        name = "anomalib's KCenterGreedy, without its random projection"
        pick: Callable[[], list[int]] = lambda: peer_coreset.picks(rows, size, seed=7)  # noqa: E731
    except peer_coreset.PeerMissing as missing:
        print(missing, file=sys.stderr)
        name = "the plain procedure re-stated (anomalib is not installed)"
        pick = lambda: _plain(rows, size)  # noqa: E731
    seconds, picks = _timed(pick)
    return picks, name, Row(what=name, values=[(size - 1) / seconds], unit="picks/s", note=f"{size} picks")


def _plain(rows: Tensor, size: int) -> list[int]:
    picks, distances = [0], torch.full((len(rows),), torch.inf)
    while len(picks) < size:
        distances = torch.minimum(distances, torch.linalg.norm(rows - rows[picks[-1]], dim=1))
        picks.append(int(distances.argmax()))
    return picks


def _ours(
    rows: Tensor, theirs: list[int], name: str, rate: Row, size: int
) -> tuple[list[Row], Tensor, list[str]]:
    few, cover = _timed(lambda: coreset.grow(rows, coreset.start(rows, theirs[0]), len(theirs)))
    agreed = sum(a == b for a, b in zip(cover.picks.tolist(), theirs, strict=True))
    many, cover = _timed(lambda: coreset.grow(rows, coreset.start(rows, theirs[0]), size))
    fast = size / many
    figures = [
        rate,
        Row(
            what="ours, as many picks", values=[len(theirs) / few], unit="picks/s", note="the start-up counts"
        ),
        Row(what="ours, all picks", values=[fast], unit="picks/s", note=f"{size} picks in {many:.0f} s"),
        Row(
            what="the other's time per pick over ours",
            values=[fast / rate.median],
            unit="x",
            note=f"at least {LEAST_RATIO:g} x is wanted",
        ),
    ]
    words = [f"Of {len(theirs)} picks {agreed} are the same, place by place, as those of {name}."]
    return figures, rows[cover.picks], words


def _search(rows: Tensor, bank: Tensor) -> list[Row]:
    """Compare finding the nearest of the bank with torch's own way, for the patches of a few images."""
    asked = [rows[first : first + QUERIES] + 0.1 for first in range(0, 8 * QUERIES, QUERIES)]
    searched = Bank(bank)
    searched.nearest(asked[0])
    ours = [1000 * _timed(lambda queries=queries: searched.nearest(queries))[0] for queries in asked]
    torchs = [
        1000 * _timed(lambda queries=queries: torch.cdist(queries, bank).topk(1, largest=False))[0]
        for queries in asked
    ]
    note = f"{QUERIES} patches against {len(bank)}"
    return [
        Row(what="nearest neighbours of an image", values=ours, unit="ms", note=note),
        Row(what="the same by torch.cdist and topk", values=torchs, unit="ms", note=note),
    ]


def _rows(category: Path | None) -> tuple[Tensor, str]:
    if category is None:
        return _made_up(), "made up, with a spectrum that falls like that of real features"
    from ad_detectors.backbones import features
    from ad_detectors.backbones.patches import PatchFeatures
    from ad_detectors.backbones.weights import Places
    from ad_detectors.data.images import train_images
    from ad_detectors.data.layout import open_category

    opened = open_category(category)
    extractor = features.load("tf_efficientnet_lite0", STRIDES, places=Places())
    patches = PatchFeatures(extractor, GRID, 3)
    with tempfile.TemporaryDirectory() as cache, torch.no_grad():
        images = train_images(opened, 8 * GRID, Path(cache), "benchmark")
        count = min(IMAGES, len(images))
        found = [patches(images.batch(range(at, min(at + 8, count)))) for at in range(0, count, 8)]
    name = f"{opened.path.parent.name}/{opened.path.name}"
    return torch.cat(found).flatten(
        0, 2
    ), f"EfficientNet-Lite0, strides 8 and 16, of {count} images of {name}"


def _made_up() -> Tensor:
    """Return clusters, as the places of an object are, under noise with few strong directions."""
    random = torch.Generator().manual_seed(0)
    channels = 152
    spectrum = (1.0 + torch.arange(channels)) ** -0.5
    basis = torch.linalg.qr(torch.randn(channels, channels, generator=random)).Q
    places = 2.0 * torch.randn(GRID * GRID, channels, generator=random)
    noise = torch.randn(IMAGES, GRID * GRID, channels, generator=random)
    return ((places + noise) * spectrum).flatten(0, 1) @ basis


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
