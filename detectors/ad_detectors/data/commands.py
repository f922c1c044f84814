"""`python -m ad_detectors data ...`: check pictures, prepare published datasets, draw some."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ad_detectors.errors import DataError

if TYPE_CHECKING:
    from ad_detectors.data.prepare.writing import Prepared


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the group `data` to a program's commands."""
    group = commands.add_parser("data", help="check pictures, prepare published datasets, draw some")
    inner = group.add_subparsers(required=True, metavar="COMMAND")

    check = inner.add_parser("check", help="name every bad file of a category, or of every category below")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=_check)

    prepare = inner.add_parser("prepare", help="bring a published dataset into the layout that is read")
    prepare.add_argument("dataset", choices=("visa", "btad", "mpdd"))
    prepare.add_argument("source", type=Path, metavar="SRC", help="the dataset as it unpacks")
    prepare.add_argument("out", type=Path, metavar="OUT", help="where its categories go")
    prepare.add_argument("--category", action="append", default=[], metavar="NAME", help="only this one")
    prepare.add_argument("--link", action="store_true", help="hard-link pictures instead of copying them")
    prepare.set_defaults(run=_prepare)

    synth = inner.add_parser("synth", help="draw a category of screws, with defects and their masks")
    synth.add_argument("out", type=Path, metavar="OUT", help="the category's folder, made new")
    synth.add_argument("--seed", type=int, default=0)
    synth.add_argument("--train", type=int, default=60, metavar="N", help="normal pictures to learn from")
    synth.add_argument("--test-good", type=int, default=20, metavar="N", help="normal test pictures")
    synth.add_argument("--per-defect", type=int, default=8, metavar="N", help="test pictures of each defect")
    synth.add_argument("--size", type=int, default=256, metavar="PIXELS", help="of each side")
    synth.add_argument("--fixture", action="store_true", help="all screws held alike, under lights that stay")
    synth.add_argument("--contact-sheet", type=Path, metavar="FILE", help="also draw a sheet of all defects")
    synth.set_defaults(run=_synth)


def _check(options: argparse.Namespace) -> None:
    from ad_detectors.data.check import check

    reports = check(options.folder)
    if options.json:
        sys.stdout.write(json.dumps([report.to_json() for report in reports], indent=1) + "\n")
    else:
        for report in reports:
            sys.stdout.write("\n".join(report.lines()) + "\n")
    bad = [report.category for report in reports if report.errors]
    if bad:
        raise DataError(f"repair before training: {', '.join(bad)}")


def _prepare(options: argparse.Namespace) -> None:
    from ad_detectors.data.prepare.datasets import prepare

    def told(one: Prepared) -> None:
        state = "made" if one.new else "was there"
        sys.stdout.write(f"{one.path}\t{state}: {one.pictures} pictures, {one.masks} masks\n")
        sys.stdout.flush()

    prepare(options.dataset, options.source, options.out, only=options.category, link=options.link, told=told)


def _synth(options: argparse.Namespace) -> None:
    from ad_detectors.data.synth import make

    wanted = {
        name: getattr(options, name)
        for name in ("seed", "train", "test_good", "per_defect", "size", "fixture")
    }
    make(options.out, **wanted, told=lambda done, of: _say(f"\r{done}/{of}" + "\n" * (done == of)))
    sys.stdout.write(f"{options.out}\n")
    if options.contact_sheet is not None:
        from ad_detectors.data.synth.contact import write_sheet

        write_sheet(options.contact_sheet, options.seed, fixture=options.fixture)
        sys.stdout.write(f"{options.contact_sheet}\n")


def _say(words: str) -> None:
    sys.stderr.write(words)
    sys.stderr.flush()
