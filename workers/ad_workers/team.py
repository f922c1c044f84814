"""The other ranks of a fit on several cards: forked beside the attempt, told each stage, dying with it.

Rank 0 is the attempt itself, with its line to the supervisor, its checkpoints and stages. The others are
forked before it computes anything, restore the checkpoint that it found, and do the same steps on their parts
of each batch. One that ends before its work is done ends the attempt.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform.lifeline import leave_requests_to_the_holder, requests_held_back
from ad_platform.states import FailureClass
from ad_workers.exits import Exit, classify, describe
from ad_workers.forking import alone, let_go
from ad_workers.messages import Beginning, Decision, Failed
from ad_workers.zygote import die_with_parent

if TYPE_CHECKING:
    from ad_detectors.ranks import Together

TakePart = Callable[..., None]  # (Beginning, the lines of decisions, rank=, size=)

PAUSE = 0.2  # seconds between two looks at whether the watch is still wanted
LAST_WORDS = 2.0  # seconds for news of a rank that fell, once the exchange with it broke


@dataclass
class Member:
    """Another rank, as rank 0 sees it."""

    rank: int
    pid: int
    line: socket.socket
    released: bool = False


class Team:
    """Every rank but rank 0; close it in any case."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        self._closing = threading.Event()
        self._watch: threading.Thread | None = None
        self._together: Together | None = None

    @classmethod
    def fork(cls, size: int, take_part: TakePart) -> Team:
        """Fork `size - 1` ranks that wait to take part; other threads than this one would not be copied."""
        if not alone():
            raise RuntimeError("ranks are forked before anything else starts a thread")
        members = []
        parent = os.getpid()
        for rank in range(1, size):
            ours, theirs = socket.socketpair()
            with requests_held_back():
                pid = os.fork()
                if pid == 0:
                    _become(parent, theirs, partial(take_part, rank=rank, size=size))
            theirs.close()
            members.append(Member(rank, pid, ours))
        return cls(members)

    @property
    def size(self) -> int:
        """Return the number of ranks, this process included."""
        return len(self._members) + 1

    def begin(self, beginning: Beginning, device: object, fell: Callable[[Failed], None]) -> Together:
        """Have the ranks restore and meet, and return this process's place among them.

        From then on `fell` is told, in a thread, of the first rank that ends before its work is done.
        """
        from ad_detectors.ranks import Together

        self._send(asdict(beginning))
        self._watch = threading.Thread(target=self._look_after, args=(fell,), daemon=True)
        self._watch.start()
        self._together = Together(0, self.size, device, Path(beginning.meeting))  # type: ignore[arg-type]
        return self._together

    def decide(self, decision: Decision) -> None:
        """Tell the ranks about a stage; those whose work is done do not listen any more."""
        self._send(asdict(decision))

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Give the watch time to say which rank fell, when the exchange with it breaks in this process."""
        try:
            yield
        except Exception:
            self._closing.wait(LAST_WORDS)
            raise

    def close(self) -> None:
        """End every rank that has not ended."""
        self._closing.set()
        if self._watch is not None:
            self._watch.join()
        for member in self._members:
            member.line.close()
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(member.pid, signal.SIGKILL)
                os.waitpid(member.pid, 0)
        self._members = []
        if self._together is not None:
            self._together.leave()

    def _send(self, value: Mapping[str, object]) -> None:
        line = json.dumps(value).encode() + b"\n"
        for member in self._members:
            if not member.released:
                with contextlib.suppress(OSError):  # the watch says why
                    member.line.sendall(line)

    def _look_after(self, fell: Callable[[Failed], None]) -> None:
        while not self._closing.is_set():
            waiting = {member.line: member for member in self._members if not member.released}
            if not waiting:
                return
            for line in select.select([*waiting], [], [], PAUSE)[0]:
                failure = self._heard(waiting[line])
                if failure is not None and not self._closing.is_set():
                    fell(failure)
                    return

    def _heard(self, member: Member) -> Failed | None:
        """Take in what a rank said last, and return what it fell of, or None if its work is done."""
        said = _line(member.line)
        if said.get("done"):
            member.released = True
            return None
        if said:
            words = f"rank {member.rank}: {said['error']}"
            return Failed(failure=FailureClass(said["failure"]), error=words)
        _, status = os.waitpid(member.pid, 0)
        self._members.remove(member)  # its number may soon be somebody else's
        words = f"rank {member.rank}: {describe(os.waitstatus_to_exitcode(status))}"
        return Failed(failure=FailureClass.CRASH, error=words)


def _line(end: socket.socket) -> dict[str, str]:
    """Return the JSON object that a line holds, empty at the end of what can be read."""
    received = b""
    while not received.endswith(b"\n"):
        try:
            chunk = end.recv(65536)
        except OSError:
            return {}
        if not chunk:
            return {}
        received += chunk
    value: dict[str, str] = json.loads(received)
    return value


def _become(parent: int, end: socket.socket, take_part: TakePart) -> None:
    """Be a rank, in a forked child, and never return."""
    code = 1
    try:
        leave_requests_to_the_holder()
        die_with_parent(parent)
        let_go(end.fileno())
        code = serve(end, take_part)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may return into the attempt's code
        traceback.print_exc()
    finally:
        os._exit(code)


def serve(end: socket.socket, take_part: TakePart) -> int:
    """Wait to begin, take part, say how it went, and return the exit code."""
    with end, end.makefile("rb") as lines:
        asked = lines.readline()
        if not asked:
            return Exit.DONE
        try:
            take_part(Beginning(**json.loads(asked)), lines)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a rank: every failure gets a class
            traceback.print_exc()
            words = " ".join(f"{type(error).__name__}: {error}".split())[:1000]
            end.sendall(json.dumps({"failure": classify(error).value, "error": words}).encode() + b"\n")
            select.select([end], [], [], 10.0)  # rank 0 must hear this before it sees the exchange break
            return Exit.FAILED
        end.sendall(b'{"done": "1"}\n')
    return Exit.DONE
