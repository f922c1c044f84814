"""Predictions that are made here: of the pictures that are named, or of all that come into a folder."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from ad_cli import out
from ad_cli.exits import Exit
from ad_cli.interrupts import interrupt
from ad_cli.predictions import AsJson, Shown, shown_as
from ad_cli.progress import Progress
from ad_platform.errors import InvalidData, InvalidRequest, MissingExtra

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_workers.predicting.asking import Asked
    from ad_workers.predicting.scoring import Loaded, Run
    from ad_workers.predicting.watching import Watch

Given = Mapping[str, object]  # options by name, with what was given


def check(
    *,
    submit: bool,
    of_job: Given,
    drawn: Given,
    pictures: Given,
    here: Given,
    null: bool,
) -> None:
    """Raise InvalidRequest for options that do not go together; each group is by name what was given."""
    if not submit and (said := _said(of_job)):
        raise InvalidRequest(f"{said} is about a job; add --submit")
    if submit and (said := _said(here)):
        raise InvalidRequest(
            f"{said} is about what is scored here; a job's results come with: adctl results JOB --out DIR"
        )
    if not submit and here["--out"] is None and (said := _said(drawn)):
        raise InvalidRequest(f"{said} writes files: add --out DIR")
    if null and not _said({"--files-from": pictures["--files-from"]}):
        raise InvalidRequest("--null says how the names of --files-from end; add --files-from FILE")
    if not _said(pictures):
        raise InvalidRequest("IMAGE is missing: name files, folders or patterns, or - for one on stdin")


def _said(given: Given) -> str:
    """Return the first option that was given, "" for none."""
    return next((name for name, value in given.items() if value not in (None, False, [])), "")


def need_torch() -> None:
    """Raise MissingExtra where nothing can be scored; call it before anything of torch is imported."""
    if find_spec("torch") is None:
        raise MissingExtra("scoring images", "worker")
    # Read when torch is loaded: threads that spin while they wait slow a shared machine tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def predict(client: Client, asked: Asked, form: str) -> Exit:
    """Score what was asked for and print it; raise InvalidData at the end for what could not be scored."""
    from ad_workers.predicting.asking import Place, begin

    with tempfile.TemporaryDirectory(prefix="adctl-predict-") as scratch, _ended_like_ctrl_c():
        run = begin(client, asked, Place(stdin=stdin(), scratch=Path(scratch)))
        shown = _shown(run, form)
        _introduce(run.loaded, run.loaded.warnings)
        try:
            with closing(run.predict()) as made:
                shown.all_of((each, run.loaded.cut) for each in made)
        except KeyboardInterrupt:
            shown.progress.clear()
            out.note(f"\ninterrupted after {shown.count} of {len(run.pictures)} images")
            return Exit.INTERRUPTED
        _conclude(run, shown)
    if shown.failed:
        raise InvalidData(f"{shown.failed} of {len(run.pictures)} images could not be scored")
    return Exit.OK


def watch(client: Client, asked: Asked, folder: Path, settle: float, form: str) -> Exit:
    """Score what comes into a folder until told to end: by Ctrl-C, or SIGTERM, which is then no failure."""
    from ad_workers.predicting.asking import begin_watch
    from ad_workers.predicting.settling import Watched

    with closing(begin_watch(client, asked, Watched(folder=folder, settle=settle))) as going:
        _introduce(going.loaded, going.warnings)
        out.note(going.words)
        with _stopping() as (stop, signals):
            return _watch(going, form, stop, signals)


def stdin() -> BinaryIO | None:
    """Return what is piped in, None where stdin is a terminal."""
    return None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer


def _watch(going: Watch, form: str, stop: threading.Event, signals: list[int]) -> Exit:
    shown = shown_as(form, Progress(None), width=0, painted=True, stream=True)
    shown.begin()
    trouble = ""
    for entries in going.results(stop):
        for entry in entries:
            shown.add(entry.prediction, entry.threshold)
        if going.trouble and going.trouble != trouble:
            shown.progress.clear()
            out.warn(f"{going.trouble}; it is looked at again and again")
        trouble = going.trouble
        waiting = f"{going.waiting} waiting" if going.waiting else ""
        if not entries:
            shown.progress.after(shown.count, waiting)
    shown.progress.clear()
    told = f": {shown.counts}" if shown.counts else ": nothing came"
    out.note(f"stopped{told}; all of it is in {going.journal.path}")
    return Exit.INTERRUPTED if signal.SIGINT in signals else Exit.OK


def _shown(run: Run, form: str) -> Shown:
    widest = max(len(picture.name) for picture in run.pictures)
    painted = run.output is not None and run.output.makes.overlays
    return shown_as(form, Progress(len(run.pictures)), width=widest, painted=painted)


def _introduce(loaded: Loaded, warnings: Sequence[str]) -> None:
    out.note(loaded.words)
    for warning in warnings:
        out.warn(warning)


def _conclude(run: Run, shown: Shown) -> None:
    if isinstance(shown, AsJson):
        folder = str(run.output.folder) if run.output else None
        out.data({**run.loaded.to_json(), "out": folder, "images": shown.images})
    out.note(shown.counts)
    if run.output is None:
        return
    table = run.output.table.name
    if run.output.makes.overlays:
        out.note(f"heat maps and {table} are in {run.output.folder}; {run.loaded.colours}")
    else:
        out.note(f"{table} is in {run.output.folder}")


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end a prediction as Ctrl-C does: what was scored is kept, with its table."""
    with _handling(signal.SIGTERM, interrupt):
        yield


@contextmanager
def _stopping() -> Iterator[tuple[threading.Event, list[int]]]:
    """Give an event that the first signal to end sets, and which signals came; a second one ends at once."""
    stop, came = threading.Event(), list[int]()

    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        came.append(number)
        stop.set()

    with _handling(signal.SIGTERM, end), _handling(signal.SIGINT, end):
        yield stop, came


@contextmanager
def _handling(number: signal.Signals, handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # who else calls may not set any
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
