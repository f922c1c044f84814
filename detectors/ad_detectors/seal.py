"""Keeps a detector from looking at the pictures' files by itself: all it may know of them, it is handed.

While a seal is in force, whatever this process does through Python to a sealed folder (open a file, list a
folder, link to either, hand its path to a program) raises Peeked where it happens; so does code of the
detector that asks the interpreter for the frames of its callers or for the objects of others, among which are
labels and names. What was swallowed is raised again at the end. Python's audit hooks (PEP 578) report these
events. They do not see what compiled code opens by itself (torchvision.io, ctypes), nor whether a file is
asked for that exists: this finds mistakes and shortcuts, it is no prison.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ad_detectors import registry
from ad_detectors.errors import Peeked

RULE = "a detector is handed its pictures and may look at no other; until it stops, its figures mean nothing"
FILES = {
    "open": "opened",
    "os.listdir": "listed",
    "os.scandir": "listed",
    "os.link": "linked to",
    "os.symlink": "linked to",
    "os.rename": "moved",
    "os.chdir": "went into",
}  # the first argument is a path
PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"})
MEMORY = frozenset(
    {"sys._getframe", "sys._current_frames", "gc.get_objects", "gc.get_referrers", "gc.get_referents"}
)
LOOKERS = frozenset({"inspect", "traceback"})  # modules that look for whoever calls them


class Seal:
    """What one detector must not look at, and what it looked at all the same."""

    def __init__(self, detector: str, sealed: Mapping[Path, str], free: Iterable[Path], module: str) -> None:
        self._detector, self._module = detector, module
        self._places = {_real(path): what for path, what in sealed.items()}
        # Longest first: what is free may lie within what is sealed, and the other way round.
        every: list[tuple[str, str | None]] = [*self._places.items(), *((_real(path), None) for path in free)]
        self._order = sorted(every, key=lambda each: len(each[0]), reverse=True)
        self._seen: list[str] = []

    def check(self, cause: BaseException | None = None) -> None:
        """Raise Peeked if anything was looked at."""
        if self._seen:
            raise Peeked(f"detector '{self._detector}' {self._seen[0]}; {RULE}") from cause

    def notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take in an event; raise Peeked if it may not be."""
        if event in FILES:
            self._file(FILES[event], arguments[0] if arguments else None)
        elif event in PROGRAMS:
            self._program(arguments)
        elif _is_of(self._module, _asking()):
            self._found(f"searched the memory of its process ({event})")

    def _file(self, did: str, path: object) -> None:
        text = _named(path)
        if text is None:
            return
        real = _real(text)
        for place, what in self._order:
            if real == place or real.startswith(place + os.sep):
                if what is not None:
                    within = os.path.relpath(real, place)
                    self._found(f"{did} {what}" if within == os.curdir else f"{did} {within} of {what}")
                return

    def _program(self, arguments: tuple[Any, ...]) -> None:
        for text in _texts(arguments):
            for place, what in self._places.items():
                if place in text:
                    self._found(f"handed the path of {what} to another program")

    def _found(self, what: str) -> None:
        self._seen.append(what)
        self.check()


_SEALS: list[Seal] = []
_BUSY = threading.local()  # looking at an event raises events
_WATCHED = frozenset(FILES) | PROGRAMS | MEMORY


@contextmanager
def sealed(
    detector: str, places: Mapping[Path, str], free: Iterable[Path] = (), module: str = ""
) -> Iterator[Seal]:
    """Seal folders and files, given with what to call them, from all code of this process for this block.

    Below `free` everything is allowed, except for what is sealed deeper still. `module` is where the
    detector's code is: all in the same package counts as the detector's. Raises Peeked, at the latest at the
    end; an exception that ends the process anyway passes through.
    """
    _hook_once()
    seal = Seal(detector, places, free, module)
    _SEALS.append(seal)
    try:
        yield seal
        seal.check()
    except Peeked:
        raise
    except Exception as error:
        seal.check(error)
        raise
    finally:
        _SEALS.remove(seal)


def sealed_from(
    detector: str, places: Mapping[str, str], free: Iterable[str]
) -> AbstractContextManager[Seal]:
    """Seal paths from a registered detector; see `sealed`."""
    module = registry.describe(detector).module.removesuffix(".detector")
    return sealed(detector, {Path(path): what for path, what in places.items()}, map(Path, free), module)


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if not _SEALS or event not in _WATCHED or getattr(_BUSY, "now", False):
        return
    _BUSY.now = True
    try:
        for seal in list(_SEALS):
            seal.notice(event, arguments)
    finally:
        _BUSY.now = False


def _hooking() -> Callable[[], None]:
    hooked: list[bool] = []

    def once() -> None:
        if not hooked:
            hooked.append(True)
            sys.addaudithook(_notice)  # for good: there is no way to take one away

    return once


_hook_once = _hooking()


def _named(path: object) -> str | None:
    """Return the path that an event is about; None where it is about no file."""
    if path is None:
        return str(Path.cwd())
    try:
        if isinstance(path, int):
            return str(Path(f"/proc/self/fd/{path}").readlink())
        return os.fsdecode(path)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        return None


def _real(path: Path | str) -> str:
    return os.path.realpath(path)  # never raises: what is not there is spelled out as it is


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str | bytes | os.PathLike):
        yield os.fsdecode(value)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _asking() -> FrameType | None:
    """Return the frame that asked: the first above ours that is not one of the standard lookers."""
    frame: FrameType | None = sys._getframe()
    own = frame.f_globals if frame is not None else None
    while frame is not None and (frame.f_globals is own or frame.f_globals.get("__name__") in LOOKERS):
        frame = frame.f_back
    return frame


def _is_of(module: str, frame: FrameType | None) -> bool:
    name = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
    return bool(module) and (name == module or name.startswith(f"{module}."))
