"""Measure how soon help and completion are there, and add it to RESULTS.md: `python benchmarks/cli.py`."""

import sys
from pathlib import Path

# A script's folder comes first on the path, and a file there would hide the standard library's `platform`.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Mapping, Sequence  # noqa: E402

from parts.figures import Row, keep, report  # noqa: E402

from ad_detectors import catalogue  # noqa: E402
from ad_migrations import upgrade  # noqa: E402
from ad_platform.records import Holding, WorkerRecord  # noqa: E402
from ad_platform.specs import DatasetRef, JobSpec, Submission  # noqa: E402
from ad_platform.states import JobKind  # noqa: E402
from ad_platform.store.engine import open_store  # noqa: E402

JOBS = 1000  # in the store whose ids are completed
HELP, TAB = 0.25, 0.3  # seconds that each may take
LINES = ("adctl sub", "adctl submit train --pre", "adctl show ", "adctl submit train -m ddad -S ")


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="of each call")
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adctl-bench-") as folder:
        home = Path(folder)
        _fill(home)
        rows = [
            Row(what="`adctl --help`", values=_times(home, ["--help"], {}, given.runs), goal=HELP),
            Row(
                what="`adctl submit train --help`",
                values=_times(home, ["submit", "train", "--help"], {}, given.runs),
            ),
            *(_completed(home, line, given.runs) for line in LINES),
            Row(what="`adctl list` (20 jobs)", values=_times(home, ["list"], {}, given.runs)),
        ]
    text = report("the command line", rows, " ".join(["python benchmarks/cli.py", *sys.argv[1:]]), ("typer",))
    print(text)
    if not given.no_write:
        keep(text)


def _completed(home: Path, line: str, runs: int) -> Row:
    asked = {"_ADCTL_COMPLETE": "fish", "_ADCTL_LINE": line}
    return Row(what=f"`{line}` and Tab", values=_times(home, [], asked, runs), goal=TAB)


def _times(home: Path, arguments: Sequence[str], more: Mapping[str, str], runs: int) -> list[float]:
    """Return the seconds of each call as a process, after one that fills the system's caches."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ADCTL_", "MLFLOW_"))}
    env |= {"ADCTL_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), **more}
    found = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        called = subprocess.run(
            [sys.executable, "-m", "ad_cli", *arguments], env=env, capture_output=True, check=True
        )
        found.append(time.perf_counter() - began)
        if not called.stdout:
            raise RuntimeError(f"adctl {' '.join(arguments)} {dict(more)} printed nothing: {called.stderr!r}")
    return found[1:]


def _fill(home: Path) -> None:
    """Make a store with many jobs, a worker, a category and every detector that there is."""
    upgrade(f"sqlite:///{home / 'store.db'}")
    store = open_store(f"sqlite:///{home / 'store.db'}")
    data = DatasetRef(dataset="mvtec", category="screw", fingerprint="f" * 64, path="/data/mvtec/screw")
    spec = JobSpec(kind=JobKind.TRAIN, detector="ddad", dataset=data, config={"epochs": 1})
    try:
        store.workers.register(WorkerRecord(id="w1", node="here", pid=1, slots=1))
        store.workers.publish(catalogue.build(), "w1")
        store.workers.hold(
            [Holding(node="here", fingerprint="f" * 64, dataset="mvtec", category="screw", path=data.path)]
        )
        store.jobs.submit([Submission(spec=spec, user="kim", name=f"job {n}") for n in range(JOBS)])
    finally:
        store.close()


if __name__ == "__main__":
    main()
