"""Train DDAD beside its published code and add how well both tell defects to RESULTS.md.

    python benchmarks/learning.py --peer CHECKOUT --data ROOT --results learning.json mvtec/bottle mvtec/screw

CHECKOUT is github.com/arimousa/DDAD at commit 4323a150, whose kornia 0.6.12 must be importable; ROOT holds
DATASET/CATEGORY in the layout of MVTec AD. Both sides learn DDAD-S from the same pictures in the same order,
under the same noise, from the same weights, for the same steps, with the same feature backbone. What each
(side, category, seed) came to is written to the results file when it is done, and found there the next time:
the script may be stopped at any time, and several processes share the work.
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
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from itertools import product  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402
from parts import paired, peer_ddad  # noqa: E402
from parts.figures import keep, section  # noqa: E402
from parts.units import Unit, Units  # noqa: E402
from torch import Tensor  # noqa: E402

from ad_detectors import heap, registry  # noqa: E402
from ad_detectors.data.fingerprint import fingerprint  # noqa: E402
from ad_detectors.data.images import CachedImages, TestImages, test_images, train_images  # noqa: E402
from ad_detectors.data.layout import open_category  # noqa: E402
from ad_detectors.data.splits import NONE  # noqa: E402
from ad_detectors.local import fit_local  # noqa: E402
from ad_detectors.zoo.ddad.config import Config  # noqa: E402
from ad_detectors.zoo.ddad.published import MVTEC_AD  # noqa: E402

# What ours has learnt is scored in two ways: by its own rules, and by those of the published code.
OURS, ALIKE, PUBLISHED = SIDES = ("ours", "ours-alike", "published")
SIZE, STEPS, ADAPT_EPOCHS = 32, 200, 1
BATCH = 16  # of training, adaptation and the published scoring
LEAST = -0.02  # that the lower end of a difference may be
HEADERS = (
    *("category", "ours is scored", "measure", "ours", "published", "difference", "95 % interval"),
    "lower end above -0.02",
)
HOW = {OURS: "as for everybody", ALIKE: "as published"}
VERSIONS = ("torch", "timm", "numpy")


@dataclass(frozen=True)
class Pictures:
    """A category at the size that is learnt."""

    folder: Path
    train: CachedImages
    test: TestImages

    @property
    def tests(self) -> Tensor:
        """Return all test pictures."""
        return self.test.batch(range(len(self.test)))


def main() -> None:
    """Do what is not done yet; once nothing is missing, compare, and put the table on top of RESULTS.md."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    heap.keep_freed()  # so that both sides get further in the same time
    about = {"size": SIZE, "steps": given.steps, "adapt_steps": given.adapt_steps, "threads": given.threads}
    units = Units(given.results, about)
    names = {
        f"{side}/{category}/{seed}": (side, category, seed)
        for seed, category, side in product(range(given.seeds), given.categories, SIDES)
    }
    with tempfile.TemporaryDirectory(prefix="learning-") as scratch:
        for name, (side, category, seed) in names.items():
            if given.only in (None, side):
                with units.claimed(name) as mine:
                    if mine:
                        units.add(name, _unit(given, side, category, seed, Path(scratch)))
        missing = names.keys() - units.done().keys()
        if missing:
            print(f"not there yet: {', '.join(sorted(missing))}", file=sys.stderr)
            return
        text = _compared(given, units.done(), Path(scratch))
    print(text)
    if not given.no_write:
        keep(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="the checkout of the published code")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the datasets")
    parser.add_argument(
        "--results", type=Path, required=True, help="a JSON file, gone on with if it is there"
    )
    parser.add_argument("categories", nargs="+", metavar="DATASET/CATEGORY")
    parser.add_argument("--only", choices=SIDES, help="do this side's part alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--adapt-steps", type=int, help=f"instead of {ADAPT_EPOCHS} epoch of adaptation")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-write", action="store_true", help="only print")
    return parser.parse_args()


def config_of(category: str, steps: int, adapt_steps: int | None) -> Config:
    """Return DDAD-S with the settings published for a category, at a size and for steps that a CPU can do."""
    return Config(
        image_size=SIZE,
        base_channels=32,
        heads=2,
        dropout=0.3,
        batch_size=BATCH,
        steps=steps,
        backbone="tf_efficientnet_lite0",
        adapt_batch_size=BATCH,
        adapt_steps=adapt_steps,
        adapt_epochs=None if adapt_steps is not None else ADAPT_EPOCHS,
        w=float(MVTEC_AD[category.rpartition("/")[2]].w),
        compat_batch=BATCH,
    )


def _pictures(given: argparse.Namespace, category: str, scratch: Path) -> Pictures:
    opened = open_category((given.data / category).absolute())
    known = fingerprint(opened.path, scratch / "fingerprints.json")
    train = train_images(opened, SIZE, scratch, known, NONE)
    return Pictures(opened.path, train, test_images(opened, SIZE, scratch, known))


def _unit(given: argparse.Namespace, side: str, category: str, seed: int, scratch: Path) -> Unit:
    """Learn and score; a unit that is stopped is begun anew."""
    pictures = _pictures(given, category, scratch)
    config = config_of(category, given.steps, given.adapt_steps)
    began, cpu = time.monotonic(), time.process_time()
    losses: list[float] = []

    def told(step: int, loss: float) -> None:
        losses.append(loss)
        if step % 20 == 0:
            took = time.monotonic() - began
            print(
                f"{side}/{category}/{seed}: step {step}, {loss:.4g}, {took:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    if side == PUBLISHED:
        scored = _published(given, config, pictures, seed, told)
    else:
        scored = _ours(given, config, pictures, seed, told, compat=side == ALIKE)
    return Unit(
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        losses=losses,
        run=paired.Run(*(each.numpy().astype(np.float32) for each in scored)),
    )


def _ours(
    given: argparse.Namespace,
    config: Config,
    pictures: Pictures,
    seed: int,
    told: peer_ddad.Told,
    *,
    compat: bool,
) -> tuple[Tensor, Tensor]:
    def heard(step: int, _of: int, metrics: dict[str, float]) -> None:
        if "train/loss" in metrics:
            told(step, metrics["train/loss"])

    # Beside the results, where the other way of scoring finds it.
    out = given.results.absolute().with_suffix("") / f"{pictures.folder.name}-{seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_suffix(".lock")):  # or two processes would learn the same at once
        fitted = fit_local(
            "ddad", config, pictures.folder, out, seed=seed, device="cpu", holdout=NONE, told=heard
        )
    if compat:
        state = fitted.state()
        fitted = registry.create("ddad", replace(config, compat=True))
        fitted.restore(state)
    scores = fitted.score(pictures.tests)
    assert scores.maps is not None
    return scores.images, scores.maps


def _published(
    given: argparse.Namespace,
    config: Config,
    pictures: Pictures,
    seed: int,
    told: peer_ddad.Told,
) -> tuple[Tensor, Tensor]:
    peer = peer_ddad.load(given.peer.absolute())
    net = peer_ddad.train(peer, config, pictures.train, seed, told)
    backbone = peer_ddad.adapt(peer, config, net, pictures.train, seed, lambda _step, _loss: None)
    found = [
        peer_ddad.score(peer, config, net, backbone, pictures.test.batch(part), seed)
        for part in peer_ddad.batches(len(pictures.test), BATCH)
    ]
    scores, maps = (torch.cat(each) for each in zip(*found, strict=True))
    return scores, maps


def _compared(given: argparse.Namespace, done: dict[str, Unit], scratch: Path) -> str:
    rows: list[list[str]] = []
    border = SIZE // 16
    inner = (slice(None), slice(border, -border), slice(border, -border))
    for category in given.categories:
        test = _pictures(given, category, scratch).test
        runs = {
            side: [done[f"{side}/{category}/{seed}"].run for seed in range(given.seeds)] for side in SIDES
        }
        cropped = {side: [paired.Run(run.scores, run.maps[inner]) for run in runs[side]] for side in SIDES}
        masks, labels = test.masks(range(len(test)))[inner], np.array(test.labels, np.bool_)
        for side, how in HOW.items():
            found = paired.differences(cropped[side], cropped[PUBLISHED], labels, masks)
            rows += [[category, how, name, *_cells(difference)] for name, difference in found.items()]
    hours = sum(unit.cpu_seconds for unit in done.values()) / 3600
    words = [*_words(given), f"{hours:.1f} CPU hours in all, the published code's share {_share(done):.0%}."]
    command = " ".join(["python benchmarks/learning.py", *_said(sys.argv[1:])])
    return section("learning beside the published code", HEADERS, rows, command, VERSIONS, words)


def _cells(found: paired.Difference) -> list[str]:
    interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
    met = "yes" if found.low > LEAST else "no"
    return [f"{found.first:.4f}", f"{found.second:.4f}", f"{found.mean:+.4f}", interval, met]


def _words(given: argparse.Namespace) -> list[str]:
    adapted = "one epoch" if given.adapt_steps is None else f"{given.adapt_steps} steps"
    return [
        f"DDAD-S (32 channels, 2 heads, dropout 0.3) at {SIZE} px: {given.steps} steps of {BATCH} images,",
        f"{adapted} of adaptation, {given.seeds} seeds, {given.threads} thread(s), EfficientNet-Lite0.",
        "Every other setting is the one published for the category, on both sides; none was chosen here.",
        "For everybody ours is scored in proportion to a constant of the training images, border counted; as",
        "published (`compat`) in proportion to the maxima of its batch of test images, without the border.",
        "The published image score looks at the inner seven eighths of a picture, in batches of 16 of the",
        "sorted files; the pixel AUROC of both is that of the inner part, on our masks. Means over seeds;",
        "the intervals are of a paired bootstrap over test images and seeds.",
    ]


def _share(done: dict[str, Unit]) -> float:
    of = {name: unit.cpu_seconds for name, unit in done.items()}
    return sum(each for name, each in of.items() if name.startswith(PUBLISHED)) / sum(of.values())


def _said(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with names for what lies elsewhere on every machine."""
    named = {"--peer": "CHECKOUT", "--data": "ROOT", "--results": "learning.json"}
    said: list[str] = []
    for word in arguments:
        said.append(named.get(said[-1], word) if said else word)
    return said


if __name__ == "__main__":
    main()
