"""Fit detectors on real images through the platform and add how good they are to RESULTS.md.

    python benchmarks/accuracy.py --data ROOT --run patchcore --run ddad/small mvtec/bottle mvtec/screw

ROOT holds DATASET/CATEGORY in the layout of MVTec AD. Every run is `adctl submit train` on a platform of its
own, followed by the evaluation that it asks for; pixel_mean always comes along, as what must be beaten.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

from parts.figures import keep, section  # noqa: E402
from parts.home import Home, running  # noqa: E402

from ad_detectors.metrics import evidence_file  # noqa: E402
from ad_detectors.metrics.bootstrap import Evidence, paired_difference  # noqa: E402
from ad_platform.client import Client  # noqa: E402
from ad_platform.records import Job  # noqa: E402
from ad_platform.storage.engine import open_storage  # noqa: E402

BASELINE = "pixel_mean"
PATIENCE = 3 * 3600.0
MEASURES = ("image_auroc", "pixel_auroc", "aupro_30")
HEADERS = (
    *("category", "detector", "size", "steps", "fit", "ms/image", "image AUROC", "pixel AUROC", "AUPRO 0.3"),
    *("validation AUROC", f"less {BASELINE}: image AUROC", "pixel AUROC", "AUPRO 0.3"),
)
VERSIONS = ("torch", "timm", "numpy", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A fit and its evaluation, as the platform recorded them."""

    category: str
    run: str
    size: int  # of the images, in pixels
    train: dict[str, Any]
    evaluation: dict[str, Any]
    evidence: Evidence  # what was said of the test split


def main() -> None:
    """Run everything, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the datasets")
    parser.add_argument("categories", nargs="+", metavar="DATASET/CATEGORY")
    parser.add_argument("--run", action="append", default=[], metavar="DETECTOR[/PRESET]")
    parser.add_argument(
        "--holdout", default="none", help="shares of normal images to hold out, such as 10/10"
    )
    parser.add_argument(
        "-S", dest="settings", action="append", default=[], metavar="K=V", help="for all runs"
    )
    parser.add_argument("--note", action="append", default=[], help="a line below the table")
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    outcomes: list[Outcome] = []
    with running(slots=1) as home:
        for category in given.categories:
            for run in given.run or [BASELINE]:
                folder = given.data.absolute() / category
                outcome = _run(home, folder, category, run, given.holdout, given.settings)
                # Masks are compared pixel by pixel, so the baseline looks at images of the same size.
                size = f"image_size={outcome.size}"
                if not any(
                    (at.category, at.run, at.size) == (category, BASELINE, outcome.size) for at in outcomes
                ):
                    outcomes.append(_run(home, folder, category, BASELINE, given.holdout, [size]))
                outcomes.append(outcome)
                print(" | ".join(_cells(outcome, outcomes)), file=sys.stderr, flush=True)
    rows = [_cells(outcome, outcomes) for outcome in outcomes]
    holding = (
        "nothing held out" if given.holdout == "none" else f"{given.holdout} % of the normal images held out"
    )
    words = [
        f"Through `adctl submit train`, seed 0, {holding}; in brackets 95 % intervals over the test images.",
        *given.note,
    ]
    title = f"accuracy of {', '.join(given.run) or BASELINE}"
    command = " ".join(["python benchmarks/accuracy.py --data ROOT", *_said(sys.argv[1:])])
    text = section(title, HEADERS, rows, command, VERSIONS, words)
    print(text)
    if not given.no_write:
        keep(text)


def _run(home: Home, folder: Path, category: str, run: str, holdout: str, settings: Sequence[str]) -> Outcome:
    detector, _, preset = run.partition("/")
    chosen = ["--preset", preset] if preset else []
    asked = [word for setting in settings for word in ("-S", setting)]
    data = ("--data", str(folder), "--holdout", holdout)
    said = home.adctl("submit", "train", "--model", detector, *chosen, *asked, *data, "-q")
    print(f"{category}: {run} is job {said.split()[0]}", file=sys.stderr, flush=True)
    with Client(home.settings) as client:
        train, evaluation = _ended(client, said.split()[0])
        return Outcome(
            category=category,
            run=run,
            size=int(str(train.spec.config["image_size"])),
            train=dict(train.result or {}),
            evaluation=dict(evaluation.result or {}),
            evidence=_evidence(home, evaluation),
        )


def _ended(client: Client, train_id: str) -> tuple[Job, Job]:
    """Wait for a fit and for the evaluation of it; both must succeed."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        train = client.store.jobs.get(train_id)
        ours = [job for job in client.store.jobs.search() if job.spec.source == train_id]
        if train.state == "failed" or any(job.state == "failed" for job in ours):
            raise SystemExit(f"{train.error or ours[0].error}")
        if ours and all(job.state == "succeeded" for job in (train, *ours)):
            return train, ours[0]
        time.sleep(0.5)
    raise SystemExit(f"job {train_id} did not end within {PATIENCE:.0f} s")


def _evidence(home: Home, evaluation: Job) -> Evidence:
    """Read what an evaluation published, so that two detectors can be compared on the same images."""
    place = str((evaluation.result or {})["bundle"])
    with tempfile.TemporaryDirectory() as folder:
        open_storage(home.settings.storage_url).fetch(place, Path(folder))
        return evidence_file.load(Path(folder))


def _cells(outcome: Outcome, outcomes: Sequence[Outcome]) -> list[str]:
    metrics, intervals = outcome.evaluation["metrics"], outcome.evaluation["intervals"]
    return [
        outcome.category,
        outcome.run,
        f"{outcome.size} px",
        str(outcome.train["steps"]),
        f"{outcome.train['fit_seconds']:.0f} s",
        _number(outcome.evaluation["ms_per_image"], 0),
        *(_measured(metrics[f"test/{name}"], intervals.get(f"test/{name}")) for name in MEASURES),
        _number(metrics.get("validation/image_auroc"), 3),
        *_against_baseline(outcome, outcomes),
    ]


def _against_baseline(outcome: Outcome, outcomes: Sequence[Outcome]) -> list[str]:
    for other in outcomes:
        same = (other.category, other.size) == (outcome.category, outcome.size)
        if same and other.run == BASELINE != outcome.run:
            found = paired_difference(outcome.evidence, other.evidence)
            return [
                f"{found[name].point:+.3f} [{found[name].low:+.3f}, {found[name].high:+.3f}]"
                for name in MEASURES
            ]
    return [""] * len(MEASURES)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _measured(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _said(arguments: Sequence[str]) -> Iterator[str]:
    """Return the arguments without the folder of this machine, and without the notes."""
    skip = False
    for word in arguments:
        if not skip and word not in ("--data", "--note"):
            yield word
        skip = word in ("--data", "--note")


if __name__ == "__main__":
    main()
