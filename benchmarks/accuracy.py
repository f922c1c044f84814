"""Fit detectors on real images through the platform and add how good they are to RESULTS.md.

    python benchmarks/accuracy.py --data ROOT --run patchcore --run ddad/small:steps=900 mvtec/bottle

ROOT holds DATASET/CATEGORY in the layout of MVTec AD. Every run is `adctl submit train` on a platform of its
own, followed by the evaluation that it asks for; pixel_mean always comes along, as what must be beaten. A run
that fails is told with its reason, and keeps no other from its row.
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
    device: str  # on which it was fitted


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A run that was asked for."""

    category: str
    run: str
    job: str  # the fit's


def main() -> None:
    """Run everything, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the datasets")
    parser.add_argument("categories", nargs="+", metavar="DATASET/CATEGORY")
    parser.add_argument("--run", action="append", default=[], metavar="DETECTOR[/PRESET][:K=V]...")
    parser.add_argument(
        "--holdout", default="none", help="shares of normal images to hold out, such as 10/10"
    )
    parser.add_argument(
        "-S", dest="settings", action="append", default=[], metavar="K=V", help="for all runs"
    )
    parser.add_argument("--timeout", default="3h", help="for each job, such as 90s")
    parser.add_argument("--note", action="append", default=[], help="a line below the table")
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    with running(slots=1) as home:
        outcomes, failures = _all(home, given)
    rows = [_cells(outcome, outcomes) for outcome in outcomes]
    holding = (
        "nothing held out" if given.holdout == "none" else f"{given.holdout} % of the normal images held out"
    )
    words = [
        f"Through `adctl submit train`, seed 0, {holding}; in brackets 95 % intervals over the test images.",
        f"Fitted and scored on: {', '.join(sorted({each.device for each in outcomes}))}.",
        *given.note,
        *(f"Failed: {each}." for each in failures),
    ]
    title = f"accuracy of {', '.join(given.run) or BASELINE}"
    command = " ".join(["python benchmarks/accuracy.py --data ROOT", *_said(sys.argv[1:])])
    text = section(title, HEADERS, rows, command, VERSIONS, words)
    print(text)
    if not given.no_write:
        keep(text)


def _all(home: Home, given: argparse.Namespace) -> tuple[list[Outcome], list[str]]:
    """Submit everything, wait for it, and return what came of it and what failed, with the reasons."""
    outcomes: list[Outcome] = []
    failures: list[str] = []
    for category in given.categories:
        asked = []
        for run in given.run or [BASELINE]:
            try:
                asked.append(_submit(home, given, category, run))
            except SystemExit as error:  # what was wrong with it stands in the last line
                failures.append(f"{run} on {category}: refused, {str(error).strip().splitlines()[-1]}")
        sizes: dict[int, None] = {}
        for each in asked:
            with Client(home.settings) as client:
                size = int(str(client.store.jobs.get(each.job).spec.config["image_size"]))
            if each.run.partition(":")[0] != BASELINE:
                sizes[size] = None
        # Masks are compared pixel by pixel, so the baseline looks at images of the same size.
        beside = [_submit(home, given, category, f"{BASELINE}:image_size={size}") for size in sizes]
        pending = [*beside, *asked]
        order = [each.job for each in pending]
        found: dict[str, Outcome] = {}
        end = time.monotonic() + PATIENCE
        while pending and time.monotonic() < end:
            time.sleep(0.5)
            for each in [*pending]:
                try:
                    outcome = _outcome(home, each)
                except JobFailed as error:
                    failures.append(str(error))
                    pending.remove(each)
                    print(error, file=sys.stderr, flush=True)
                    continue
                if outcome is not None:
                    found[each.job] = outcome
                    pending.remove(each)
                    print(" | ".join(_cells(outcome, [*found.values()])), file=sys.stderr, flush=True)
        failures += [f"{each.run} on {category}: no end within {PATIENCE:.0f} s" for each in pending]
        outcomes += [found[job] for job in order if job in found]
    return outcomes, failures


def _submit(home: Home, given: argparse.Namespace, category: str, run: str) -> Submitted:
    named, *own = run.split(":")
    detector, _, preset = named.partition("/")
    chosen = ["--preset", preset] if preset else []
    # What is said for all runs may not be a setting of the baseline's.
    shared = [] if detector == BASELINE and own else given.settings
    asked = [word for setting in (*shared, *own) for word in ("-S", setting)]
    data = ("--data", str(given.data.absolute() / category), "--holdout", given.holdout)
    wait = ("--timeout", given.timeout, "--max-attempts", "1")
    said = home.adctl("submit", "train", "--model", detector, *chosen, *asked, *data, *wait, "-q")
    job = said.split()[0]
    print(f"{category}: {run} is job {job}", file=sys.stderr, flush=True)
    return Submitted(category=category, run=run, job=job)


class JobFailed(Exception):
    """A fit or its evaluation failed."""


def _outcome(home: Home, asked: Submitted) -> Outcome | None:
    """Return what came of a fit and its evaluation, None before they end; raise JobFailed if one fails."""
    with Client(home.settings) as client:
        train = client.store.jobs.get(asked.job)
        ours = [job for job in client.store.jobs.search(limit=1000) if job.spec.source == asked.job]
        for job in (train, *ours):
            if job.state in {"failed", "cancelled"}:
                why = " ".join((job.error or "").split())[:200]
                raise JobFailed(f"{asked.run} on {asked.category}: {job.kind} {job.state}, {why}")
        if not ours or not all(job.state == "succeeded" for job in (train, *ours)):
            return None
        return Outcome(
            category=asked.category,
            run=asked.run,
            size=int(str(train.spec.config["image_size"])),
            train=dict(train.result or {}),
            evaluation=dict(ours[0].result or {}),
            evidence=_evidence(home, ours[0]),
            device=_device(client, train),
        )


def _device(client: Client, train: Job) -> str:
    """Return what a fit was computed on, by name."""
    device = str(client.store.jobs.attempts(train.id)[-1].facts["device"])
    cards = [card["name"] for worker in client.store.workers.roster() for card in worker.facts["cards"]]
    return f"{cards[0]} ({device})" if device.startswith("cuda") and cards else device


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
        if same and BASELINE == other.run.partition(":")[0] != outcome.run.partition(":")[0]:
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
