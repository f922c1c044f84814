"""Write a category of drawn screws in MVTec layout: whole or not at all, and never over anything else."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ad_detectors.cpus import usable
from ad_detectors.data.layout import GOOD
from ad_detectors.data.synth import scene as scenes
from ad_detectors.data.synth.flawed import draw_flawed
from ad_detectors.data.synth.flaws import KINDS
from ad_detectors.data.synth.picture import exposed, render
from ad_detectors.errors import DataError

VERSION = 1  # grows whenever the same seed would give other pictures
PROVENANCE = "synthetic.json"
README = "README.txt"
SIZES = (64, 4096)  # pixels
MOST = 100_000  # pictures of one kind
WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for; the pictures depend on nothing else."""

    seed: int
    train: int
    test_good: int
    per_defect: int
    size: int
    fixture: bool = False
    version: int = VERSION


@dataclass(frozen=True)
class _Picture:
    """One picture that is to be drawn."""

    folder: str  # train/good, test/good or test/<defect>
    index: int

    @property
    def defect(self) -> str:
        return self.folder.partition("/")[2]

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.index:03d}.png"

    @property
    def mask_name(self) -> str:
        return f"ground_truth/{self.defect}/{self.index:03d}_mask.png"


def make(
    out: Path,
    *,
    seed: int = 0,
    train: int = 60,
    test_good: int = 20,
    per_defect: int = 8,
    size: int = 256,
    fixture: bool = False,
    threads: int | None = None,
    told: Callable[[int, int], None] | None = None,
) -> None:
    """Write a synthetic category to the folder `out`, which appears when it is whole.

    Screws lie at any angle under changing light, which is hard to learn from few; with `fixture` they are
    held within two degrees and a few pixels of each other, under lights that stay, as a station on a line
    would see them.

    The same order gives the same bytes, on any number of threads; the first pictures of a larger order are
    those of a smaller one. If `out` holds just this already, nothing is done; another synthetic category is
    replaced; anything else is left alone with a DataError. `told(done, of)` is called after each picture.
    """
    order = Order(
        seed=seed, train=train, test_good=test_good, per_defect=per_defect, size=size, fixture=fixture
    )
    _check(order)
    out = Path(os.path.abspath(out.expanduser()))  # noqa: PTH100 - resolve() would follow a link
    if _is_there(out, order):
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        fresh = Path(scratch) / "new"
        _draw_all(fresh, order, threads, told)
        _describe(fresh, order)
        if out.exists():
            out.rename(Path(scratch) / "old")
        fresh.rename(out)


def category_make(seed: int, fixture: bool = False) -> scenes.Make:
    """Return the make of screw that a seed's category shows, and the fixture's lights if there is one."""
    make = scenes.draw_make(_random(seed, "make", 0))
    return replace(make, fixture=scenes.draw_light(_random(seed, "light", 0))) if fixture else make


def _check(order: Order) -> None:
    if order.seed < 0:
        raise DataError(f"seed = {order.seed}; a seed is 0 or more")
    if not SIZES[0] <= order.size <= SIZES[1]:
        raise DataError(f"size = {order.size}; a picture has {SIZES[0]} to {SIZES[1]} pixels each way")
    for name, count in (("test_good", order.test_good), ("per_defect", order.per_defect)):
        if not 0 <= count <= MOST:
            raise DataError(f"{name} = {count}; ask for 0 to {MOST} pictures")
    if not 1 <= order.train <= MOST:
        raise DataError(f"train = {order.train}; ask for 1 to {MOST} pictures")


def _pictures(order: Order) -> list[_Picture]:
    counts = {f"train/{GOOD}": order.train, f"test/{GOOD}": order.test_good}
    counts |= {f"test/{kind}": order.per_defect for kind in KINDS}
    return [_Picture(folder, index) for folder, count in counts.items() for index in range(count)]


def _files(order: Order) -> set[str]:
    """Return every file of a category."""
    pictures = _pictures(order)
    masks = {each.mask_name for each in pictures if each.defect in KINDS}
    return {each.name for each in pictures} | masks | {PROVENANCE, README}


def _is_there(out: Path, order: Order) -> bool:
    """Say whether `out` holds what was ordered; raise DataError if it is not ours to replace."""
    if not os.path.lexists(out) or (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        return False
    theirs = DataError(f"{out} holds something else; name a folder that does not exist")
    try:
        found = Order(**json.loads((out / PROVENANCE).read_text())["order"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise theirs from error
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if out.is_symlink() or not files <= _files(found):
        raise theirs
    return found == order and files == _files(order)


def _draw_all(
    folder: Path, order: Order, threads: int | None, told: Callable[[int, int], None] | None
) -> None:
    make, pictures = category_make(order.seed, order.fixture), _pictures(order)
    for each in pictures:
        (folder / each.folder).mkdir(parents=True, exist_ok=True)
        if each.defect in KINDS:
            (folder / each.mask_name).parent.mkdir(parents=True, exist_ok=True)

    def draw(picture: _Picture) -> None:
        random = _random(order.seed, picture.folder, picture.index)
        if picture.defect in KINDS:
            flawed = draw_flawed(make, picture.defect, order.size, random)
            pixels = flawed.flawed
            Image.fromarray(flawed.mask.astype(np.uint8) * 255).save(folder / picture.mask_name)
        else:
            scene = scenes.draw_scene(make, random)
            pixels = exposed(render(scene, order.size), scene)
        Image.fromarray(pixels).save(folder / picture.name)

    pool = ThreadPoolExecutor(min(WORKERS, usable()) if threads is None else threads)
    try:
        for done, _ in enumerate(pool.map(draw, pictures), start=1):
            if told is not None:
                told(done, len(pictures))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for pictures that were not begun


def _describe(folder: Path, order: Order) -> None:
    known = {"made_by": "python -m ad_detectors data synth", "order": asdict(order)}
    (folder / PROVENANCE).write_text(json.dumps(known, indent=1) + "\n")
    (folder / README).write_text(
        "These pictures are synthetic: no camera took them and no such screws exist.\n\n"
        f"A program (adctl, generator version {order.version}) drew them from the seed {order.seed}. "
        "Each mask marks the pixels\nin which a picture differs from the same scene without the defect. "
        "What a detector scores here says that it\nworks, not how well it would do on real screws.\n"
        "Nobody holds any rights in them: use them as you like (CC0).\n"
    )


def _random(seed: int, folder: str, index: int) -> np.random.Generator:
    """Return randomness of its own for each picture, so that no picture depends on another."""
    return np.random.default_rng([VERSION, seed, zlib.crc32(folder.encode()), index])
