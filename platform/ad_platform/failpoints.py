"""Edges at which a process can be made to die, to stop or to wait, so that tests can try what follows.

`ADCTL_FAILPOINT` arms them, in this process and in those it starts: `[child/]NAME[@HIT]:ACTION[=VALUE]`,
several parted by commas. HIT is the time at which the edge acts, counted in each process from 1; without it,
every time. With `child/` the edge acts only in the process that makes an attempt. The actions:

    kill[=FILE]    the process is killed at once, as by the kernel; with a file only if it can be made anew
    stop[=FILE]    the process is stopped, as by SIGSTOP
    exit[=FILE]    the process leaves with code 70 and cleans nothing up
    sleep=SECONDS  this thread waits
    trace=FILE     the name is appended to a file, and nothing else happens; the name `*` means every edge
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from ad_platform.errors import InvalidValue, suggest

VARIABLE = "ADCTL_FAILPOINT"
EXIT_CODE = 70
EVERY_EDGE = "*"
CHILD = "child/"


class Commit(StrEnum):
    """A write of the store; an edge lies just before its commit, and one just after."""

    SUBMIT = "submit"
    LEASE = "lease"
    RENEW = "renew"
    NOTE = "note"
    CHECKPOINT = "record-checkpoint"
    FORGET = "forget-checkpoints"
    STAGE = "record-stage"
    FINISH = "finish"
    GIVE_BACK = "give-back"
    PREEMPT = "preempt"  # the mark on jobs that are to make room
    REAP = "reap"
    CANCEL = "cancel"
    PRUNE = "prune"
    RETRY = "retry"
    RUNG = "rung"  # the note that what was owed was rung
    REMIND = "remind"
    PROMOTE = "promote"
    PUBLISHED = "published"  # the note that the registry of models was told
    SHIPPED = "shipped"  # the note that the tracking server was told
    BEGIN_TRIAL = "begin-trial"
    END_TRIAL = "end-trial"
    CONDEMN = "condemn"  # the mark on jobs whose files are about to go
    PUSH = "push"  # the note that pictures lie in the storage
    UNPUSH = "unpush"  # that note taken back, before they go
    SETTLE = "settle"  # the note of what became of such files
    SEAL = "seal"  # the store takes no writes any more, since it is about to move
    MOVED = "moved"  # the note in it that it has moved
    UNSEAL = "unseal"  # it takes writes again

    @property
    def before(self) -> str:
        """Return the name of the edge at which nothing of the write is kept."""
        return f"{self.value}.before-commit"

    @property
    def after(self) -> str:
        """Return the name of the edge at which all of it is kept, and nobody told."""
        return f"{self.value}.after-commit"


class Edge(StrEnum):
    """An edge of something that is no write of the store."""

    RING = "ring.before"  # a wake-up is owed
    RUNG = "ring.after"  # it was sent, and is owed still
    FORK = "attempt.before-fork"  # a job is leased, and has no child
    FORKED = "attempt.after-fork"  # it has one, and nobody watches over it yet
    ENDED = "attempt.before-verdict"  # the child has ended, and the store does not know
    SAVE = "checkpoint.before-save"  # a checkpoint is due
    SAVED = "checkpoint.before-publish"  # it lies in the scratch folder
    STORED = "checkpoint.before-tell"  # it lies in the storage, whole, and the supervisor does not know
    WRITING = "file.before-write"  # a temporary file is open, empty
    HALF = "file.half-written"  # a part of it is written
    WRITTEN = "file.before-rename"  # it is whole and on the disk, under its temporary name
    RENAMED = "file.after-rename"
    UPLOAD = "upload.before"  # to an object store
    UPLOADED = "upload.after"
    MANIFEST = "manifest.before"  # every file of a bundle is there, and nothing says so
    LISTED = "manifest.after"
    REMOVE = "remove.before"  # a bundle is to go
    UNLISTED = "remove.after-manifest"  # it has no manifest any more, and all its files
    SHIP = "ship.before"  # a job is claimed by a shipper
    POINTS = "ship.after-points"  # MLflow has its new points, and the store does not know
    FILES = "ship.after-files"  # MLflow has its files too
    REGISTER = "register.before"  # a champion is decided, and MLflow has no version of it
    REGISTERED = "register.after"  # it has one, and the alias points elsewhere
    DECIDE = "promote.before"  # the gates were asked, and the store decides next
    ASK = "trial.before-ask"  # the study is claimed, and a trial is wanted
    ASKED = "trial.after-ask"  # Optuna has a trial that the store does not know
    COPIED = "throw.before-entry"  # what is taken lies in the trash too, and nothing says so
    THROWN = "throw.after-entry"  # it is an entry, and lies in its place still
    BACK = "restore.before-drop"  # it is back in its place, and an entry still
    GIVEN = "push.before-list"  # every picture of a set is in the storage, and nothing says so
    NAMED = "push.after-list"  # its list is there too, and the store does not know
    FETCH = "fetch.before-file"  # a machine has made room for a set, and lacks some of its pictures
    FETCHED = "fetch.before-rename"  # one of them lies here, verified, under its temporary name
    GATHERED = "fetch.before-whole"  # all of them lie here, and nothing says that the set is whole
    EVICTED = "evict.after-rename"  # a set nobody uses was taken out of its place, and its files are here
    TOLD = "trial.after-tell"  # Optuna knows the end of a trial, and the store does not
    KEEP = "move.before-backup"  # the store is sealed, and has no copy
    KEPT = "move.after-backup"  # the copy is whole, and nothing has moved
    PART = "move.before-part"  # files, sweeps, runs or the store's rows are about to move
    CROSSING = "move.before-commit"  # all rows of a database are in the other one, and not committed
    PARTED = "move.after-part"  # a part is over there, and nothing says so
    BRING = "bring.before-rename"  # all of a copy lies beside its home
    BROUGHT = "bring.between-renames"  # what was in its place is out of it, and nothing is there


EDGES: tuple[str, ...] = tuple(
    sorted(
        [*(edge.value for edge in Edge), *(name for write in Commit for name in (write.before, write.after))]
    )
)


class Action(StrEnum):
    """What happens at an armed edge."""

    KILL = "kill"
    STOP = "stop"
    EXIT = "exit"
    SLEEP = "sleep"
    TRACE = "trace"


@dataclass(frozen=True, kw_only=True)
class Armed:
    """One edge and what happens there."""

    name: str
    action: Action
    value: str = ""
    hit: int | None = None
    child: bool = False  # only in the process that makes an attempt


_hits: Counter[str] = Counter()
_lock = threading.Lock()
_is_child = threading.Event()


def enter_child() -> None:
    """Say that this process makes an attempt."""
    _is_child.set()


def reach(name: str) -> None:
    """Do what is armed for an edge; nothing, and at once, where nothing is armed."""
    armed = _armed()
    if not armed:
        return
    with _lock:
        _hits[name] += 1
        hit = _hits[name]
    for one in armed:
        if one.child and not _is_child.is_set():
            continue
        if one.name in (name, EVERY_EDGE) and one.hit in (None, hit):
            _act(one, name)


def armed_by(environ: Mapping[str, str]) -> tuple[Armed, ...]:
    """Return what an environment arms; raise InvalidValue for what means nothing."""
    parts = environ.get(VARIABLE, "").split(",")
    return tuple(_parse(part.strip()) for part in parts if part.strip())


def _parse(text: str) -> Armed:
    place, _, what = text.partition(":")
    name, _, hit = place.removeprefix(CHILD).partition("@")
    action, _, value = what.partition("=")
    if name not in EDGES and (name != EVERY_EDGE or action != Action.TRACE):
        raise InvalidValue(f"{VARIABLE} names no edge '{name}'; {suggest(name, EDGES)}")
    if hit and not (hit.isdecimal() and int(hit) > 0):
        raise InvalidValue(f"{VARIABLE}: '{hit}' in '{text}' is not the number of a time, such as 2")
    try:
        known = Action(action)
    except ValueError:
        raise InvalidValue(
            f"{VARIABLE} names no action '{action}'; {suggest(action, list(Action))}"
        ) from None
    if known is Action.SLEEP and not _is_seconds(value):
        raise InvalidValue(f"{VARIABLE}: sleep needs seconds, as in {name}:sleep=0.5")
    if known is Action.TRACE and not value:
        raise InvalidValue(f"{VARIABLE}: trace needs a file, as in {name}:trace=/tmp/reached")
    child = place.startswith(CHILD)
    return Armed(name=name, action=known, value=value, hit=int(hit) if hit else None, child=child)


def _is_seconds(text: str) -> bool:
    try:
        return 0 <= float(text) < 3600
    except ValueError:
        return False


@cache
def _armed() -> tuple[Armed, ...]:
    # Read here and not handed down: every edge would need it, and it is nobody's setting.
    return armed_by(os.environ)


def _act(armed: Armed, name: str) -> None:
    match armed.action:
        case Action.SLEEP:
            time.sleep(float(armed.value))
        case Action.TRACE:
            _append(armed.value, name)
        case _ if armed.value and not _first(armed.value):
            return
        case Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal is on its way: nothing more may be done here
        case Action.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Action.EXIT:
            os._exit(EXIT_CODE)


def _first(file: str) -> bool:
    """Make a file, and say whether it was not there: so an edge acts once, whoever reaches it."""
    try:
        with Path(file).open("x", encoding="ascii") as made:
            made.write(f"{os.getpid()}\n")
    except FileExistsError:
        return False
    return True


def _append(file: str, name: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"{name}\n".encode())  # one write: many processes append at the same time
    finally:
        os.close(handle)
