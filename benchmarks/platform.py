"""Measure the platform on this machine and add the figures to RESULTS.md: `python benchmarks/platform.py`."""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there this file would hide the standard library's `platform`.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import tempfile  # noqa: E402

from parts import measures  # noqa: E402
from parts.figures import Row, keep, report  # noqa: E402
from parts.home import running  # noqa: E402


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, and a job of 10 s instead of 60 s")
    parser.add_argument("--no-dvc", action="store_true", help="leave DVC out")
    parser.add_argument(
        "--dvc",
        type=Path,
        default=Path(tempfile.gettempdir()) / "adctl-bench-dvc",
        help="the virtual environment of DVC, made if it is not there",
    )
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    rows = _measure(quick=given.quick, dvc=None if given.no_dvc else given.dvc.absolute())
    text = report("the platform", rows, " ".join(["python benchmarks/platform.py", *sys.argv[1:]]))
    print(text)
    if not given.no_write:
        keep(text)


def _measure(*, quick: bool, dvc: Path | None) -> list[Row]:
    few, many = (2, 4) if quick else (3, 10)
    rows: list[Row] = []
    with running(slots=1) as home:
        for name, part in (
            ("the help page", lambda: [measures.help_page(home, many)]),
            ("submit as a process", lambda: [measures.submit_process(home, many)]),
            ("the first step", lambda: measures.first_step(home, many)),
            ("three jobs", lambda: measures.three_jobs(home, few, dvc)),
            ("overhead", lambda: measures.overhead(home, few - 1, 10.0 if quick else 60.0)),
        ):
            print(f"measuring {name}", file=sys.stderr, flush=True)
            rows += part()
    return rows


if __name__ == "__main__":
    main()
