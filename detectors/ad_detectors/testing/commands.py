"""The commands of `python -m ad_detectors.testing`: record golden values, and compare with them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ad_detectors import config, registry
from ad_detectors.config import build
from ad_detectors.errors import ConfigError, DetectorError
from ad_detectors.testing import elsewhere
from ad_detectors.testing.golden import Complaint, Golden, advice_to_record, complaint, measured
from ad_detectors.testing.subject import Subject

FOLDER = Path("tests/contract/detectors/golden")
PRESET = "tiny"
MOVED, USAGE = 1, 2

# Read when torch first computes: threads that spin while they wait slow a shared machine tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        complaints: list[str] = options.run(options)
    except DetectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return USAGE
    for line in complaints:
        sys.stderr.write(f"{line}\n")
    return MOVED if complaints else 0


def record(
    name: str, path: Path, settings: Mapping[str, Any] | None = None, anew: bool = False
) -> Complaint | None:
    """Write a detector's golden values, or return why not: results moved under an unchanged version.

    Without settings those of the file are kept, if there is one. `anew` records whatever moved: for results
    that nobody has stored yet.
    """
    old = Golden.read(path) if path.exists() else None
    found = compared(old) if old is not None and not anew else None
    if found is not None and found.unannounced:
        return found
    if settings is None:
        settings = old.settings if old is not None else {}
    measured(Subject.of(name, PRESET, quick=settings), PRESET, settings).write(path)
    return None


def compared(recorded: Golden) -> Complaint | None:
    """Fit and score with the recorded config, and return what is not as recorded, if anything."""
    kind = registry.detector_class(recorded.detector)
    try:
        subject = Subject(kind, build(kind.Config, recorded.config), recorded.detector)
    except ConfigError as error:
        why = f"{recorded.detector}: the recorded config will not do any more: {error}"
        return Complaint(f"{why}; {advice_to_record(recorded.detector)}")
    return complaint(recorded, measured(subject))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ad_detectors.testing", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    recording = commands.add_parser("record", help="write the golden values of a detector")
    recording.add_argument("name", metavar="NAME")
    recording.add_argument("-S", dest="settings", action="append", metavar="FIELD=VALUE")
    recording.add_argument("--case", default="", help="a second file, for other settings")
    recording.add_argument("--folder", type=Path, default=FOLDER)
    recording.add_argument("--anew", action="store_true", help="though a stage's version was not raised")
    recording.set_defaults(run=_record)

    checking = commands.add_parser("check", help="compare detectors with their golden values")
    checking.add_argument("names", nargs="*", metavar="NAME")
    checking.add_argument("--folder", type=Path, default=FOLDER)
    checking.set_defaults(run=_check)

    child = commands.add_parser("child", help="what the contract asks of another process")
    child.add_argument("order")
    child.set_defaults(run=_child)
    return parser


def _record(options: argparse.Namespace) -> list[str]:
    known = registry.describe(options.name)
    settings = None
    if options.settings is not None:
        settings = config.parse(known.config, dict(each.split("=", 1) for each in options.settings))
    path = options.folder / f"{known.name}{'-' if options.case else ''}{options.case}.json"
    found = record(known.name, path, settings, options.anew)
    if found is None:
        sys.stdout.write(f"recorded {path}\n")
    return [] if found is None else [found.text]


def _check(options: argparse.Namespace) -> list[str]:
    goldens = [Golden.read(path) for path in sorted(options.folder.glob("*.json"))]
    found = [compared(each) for each in goldens if each.detector in (options.names or [each.detector])]
    sys.stdout.write(f"checked {len(found)}\n")
    return [each.text for each in found if each is not None]


def _child(options: argparse.Namespace) -> list[str]:
    sys.stdout.write(elsewhere.answer(json.loads(options.order)) + "\n")
    return []
