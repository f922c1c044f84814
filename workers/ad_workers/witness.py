"""A second process that scores a few pictures and knows nothing of them but their pixels.

It is forked before the attempt opens a picture or computes anything, waits, scores what it is handed before
the attempt does, and ends. So nothing that the attempt has in memory, and nothing that a detector remembers
from the pictures before, reaches its scores.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform.lifeline import leave_requests_to_the_holder, requests_held_back
from ad_workers.forking import alone, let_go
from ad_workers.zygote import die_with_parent

if TYPE_CHECKING:
    from torch import Tensor

PAUSE = 0.2  # seconds between two looks at what else there is to do
PICTURES = "pictures"
MEMORY = ("MemoryError", "OutOfMemoryError")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a witness is asked: nothing in it says which pictures these are."""

    model: str  # the folder of a fitted detector
    pictures: str  # a folder with a state: "pictures", uint8 (B, 3, H, W)
    answer: str  # a folder for the scores
    device: str
    threads: int
    detector: str
    sealed: Sequence[tuple[str, str]]  # paths that it must not look at, and what they are called
    free: Sequence[str]
    batch_divisor: int = 1  # parts in which a batch is computed


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a witness says: its scores, or why there are none."""

    scores: Mapping[str, Tensor] | None = None
    peeked: str = ""  # what its detector looked at
    failed: str = ""  # what its detector raised
    gone: str = ""  # why nobody answered, which says nothing of the detector


class Witness:
    """The other process, from before the attempt begins until it has answered; close it in any case."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self._pid, self._end = pid, end

    @classmethod
    def fork(cls) -> Witness | None:
        """Fork one; None in a process that has other threads already, which a fork would not copy."""
        if not alone():
            return None
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        with requests_held_back():
            pid = os.fork()
            if pid == 0:
                _become(parent, theirs)
        theirs.close()
        return cls(pid, ours)

    def ask(self, question: Question, meanwhile: Callable[[], object]) -> Answer:
        """Return its answer; `meanwhile` is called now and then, and may raise."""
        try:
            self._end.sendall(json.dumps(asdict(question)).encode() + b"\n")
            line = self._line(meanwhile)
        except OSError as error:
            return Answer(gone=f"the process that scores again cannot be reached: {error}")
        if not line:
            return Answer(gone="the process that scores again ended without a word")
        said = json.loads(line)
        if said:
            return Answer(**said)
        from ad_detectors import checkpoint

        return Answer(scores=checkpoint.load(Path(question.answer)))  # type: ignore[arg-type]

    def close(self) -> None:
        """End the process if it has not ended."""
        self._end.close()
        if self._pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._pid = 0  # the number may soon be somebody else's

    def _line(self, meanwhile: Callable[[], object]) -> bytes:
        received = b""
        while not received.endswith(b"\n"):
            if not select.select([self._end], [], [], PAUSE)[0]:
                meanwhile()
                continue
            chunk = self._end.recv(65536)
            if not chunk:
                return b""
            received += chunk
        return received


def serve(end: socket.socket) -> None:
    """Wait for a question, answer it, and return."""
    with end, end.makefile("rwb") as line:
        asked = line.readline()
        if asked:
            line.write(json.dumps(_answered(Question(**json.loads(asked)))).encode() + b"\n")
            line.flush()


def _answered(question: Question) -> dict[str, str]:
    """Score, and return what went wrong, if anything."""
    try:
        _score(question)
    except Exception as error:  # noqa: BLE001 - the outermost edge of the witness: every failure is told
        words = " ".join(str(error).split())[:1000]
        kind = type(error).__name__
        if kind == "Peeked":
            return {"peeked": words}
        traceback.print_exc()
        return {"gone" if kind in MEMORY else "failed": f"{kind}: {words}"}
    return {}


def _score(question: Question) -> None:
    import torch

    from ad_detectors import checkpoint
    from ad_detectors.device import choose
    from ad_detectors.evaluation import spotcheck
    from ad_detectors.seal import sealed_from

    device = choose(question.device).device
    torch.set_num_threads(question.threads)
    pictures = checkpoint.load(Path(question.pictures))[PICTURES]
    with sealed_from(question.detector, dict(question.sealed), question.free):
        detector = checkpoint.load_model(Path(question.model), device)
        detector.batch_divisor = question.batch_divisor
        found = spotcheck.scored(detector, pictures)  # type: ignore[arg-type]
    checkpoint.save(found, Path(question.answer), sync=False)


def _become(parent: int, end: socket.socket) -> None:
    """Be the witness, in a forked child, and never return."""
    code = 1
    try:
        leave_requests_to_the_holder()
        die_with_parent(parent)
        let_go(end.fileno())
        serve(end)
        sys.stdout.flush()
        sys.stderr.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may return into the attempt's code
        traceback.print_exc()
    finally:
        os._exit(code)
