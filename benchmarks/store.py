"""Measure the store with a million jobs in it, on both databases, and add the figures to RESULTS.md.

`python benchmarks/store.py`; a first look: `python benchmarks/store.py --jobs 20000 --seconds 1 --no-write`.
PostgreSQL needs its server on this machine; the peer is left out unless `pip install procrastinate` was run.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there `platform.py` would hide the standard library's.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE)]
sys.path += [str(HERE), str(HERE.parent / "tests")]

import argparse  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402

from parts import lease_laps, list_times, write_times  # noqa: E402
from parts.figures import keep, section, shortened  # noqa: E402
from parts.full_store import Full, emptied, filled, postgres  # noqa: E402

VERSIONS = ("sqlalchemy", "psycopg", "procrastinate", "typer")
LIST_HEADERS = ("command", "store", "empty", "full", "more by", "goal", "met")
WRITE_HEADERS = ("what", "store", "empty", "full", "full over empty")
LEASE_HEADERS = ("what", "store", "workers", "a second", "of one worker's", "p50", "p99", "double")


def main() -> None:
    """Measure, print the tables, and put them on top of RESULTS.md."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="adctl-store-", dir=given.folder))
    command = " ".join(["python benchmarks/store.py", *shortened(sys.argv[1:])])
    try:
        if "sqlite" in given.on:
            place = folder / "sqlite"
            _measure(filled(place, f"sqlite:///{place / 'store.db'}", given.jobs), folder, given, command)
        for durable in (True, False):
            if ("postgres" if durable else "postgres-nosync") in given.on:
                with postgres(durable=durable) as url:
                    full = filled(folder / f"postgres{durable:d}", url, given.jobs)
                    _measure(full, folder, given, command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(full: Full, folder: Path, given: argparse.Namespace, command: str) -> None:
    empty = emptied(full, folder)
    words = [full.words, *full.facts]
    if "list" in given.parts:
        rows = list_times.rows(empty, full, given.runs)
        _tell(section(f"lists of {full.jobs:,} jobs", LIST_HEADERS, rows, command, VERSIONS, words), given)
    if "write" in given.parts:
        rows = write_times.rows(empty, full)
        _tell(
            section(f"submits beside {full.jobs:,} jobs", WRITE_HEADERS, rows, command, VERSIONS, words),
            given,
        )
    if "lease" in given.parts:
        rows, more = lease_laps.rows(full, given.workers, given.seconds, given.queued)
        title = f"leases beside {full.jobs:,} jobs"
        _tell(section(title, LEASE_HEADERS, rows, command, VERSIONS, [*words, *more]), given)


def _tell(text: str, given: argparse.Namespace) -> None:
    print(text, flush=True)
    if not given.no_write:
        keep(text)


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="that have ended, in the full store")
    parser.add_argument(
        "--on", nargs="+", default=["sqlite", "postgres"], choices=_STORES, help="which stores"
    )
    parser.add_argument("--parts", nargs="+", default=list(_PARTS), choices=_PARTS, help="what is measured")
    parser.add_argument("--runs", type=int, default=5, help="of each command")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="that lease at once"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="that they lease for")
    parser.add_argument("--queued", type=int, default=2000, help="jobs that wait while they lease")
    parser.add_argument("--folder", type=Path, help="where the stores are made; 5 GB for a million jobs")
    parser.add_argument("--no-write", action="store_true", help="only print")
    return parser.parse_args(given)


_STORES = ("sqlite", "postgres", "postgres-nosync")
_PARTS = ("list", "write", "lease")


if __name__ == "__main__":
    main()
