"""A single-threaded process that has torch loaded and forks children in milliseconds.

Run as `python -m ad_workers.zygote CONTROL LIFELINE` with two inherited file descriptors. It imports torch
but computes nothing: a torch operation before the fork starts threads that the fork does not copy, and every
child would hang. It ends, and kills every child's process group, when the lifeline pipe that the worker holds
reaches its end, so that a killed worker leaves nothing behind.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import pydantic

from ad_platform.lifeline import REQUESTS, leave_requests_to_the_holder

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PRELOAD = (
    "torch",
    "numpy",
    "PIL.Image",
    "safetensors.torch",
    "fsspec",
    "psutil",
    "annotated_types",
    "pydantic.fields",
    "ad_detectors.fitting",
    "ad_detectors.evaluation",
    "ad_detectors.zoo",  # the package alone: a detector itself is read by each child, as it is by then
    "ad_workers.child",
    "ad_workers.kinds.train",
    "ad_workers.ranking",
    "ad_workers.kinds.evaluate",
    "ad_workers.kinds.trial",
)


@dataclass
class Zygote:
    """Forks children on request, reports their ends, and takes them along when it goes."""

    control: socket.socket
    lifeline: int
    wakeup: int  # readable when a child has ended

    def __post_init__(self) -> None:
        self.tokens: dict[int, int] = {}  # pid -> the worker's number for it
        self.buffer = b""
        self.descriptors: list[int] = []  # received, not yet used: two per spawn request

    def serve(self) -> None:
        """Serve until the worker is gone."""
        self._tell({"ready": os.getpid()})
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.lifeline, self.wakeup], [], [])
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
                self._bury()
            if self.lifeline in ready or (self.control.fileno() in ready and not self._requests()):
                break
        self._kill_all()

    def _requests(self) -> bool:
        """Answer what was asked; False once the worker is gone."""
        data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 16)
        self.descriptors += descriptors
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "spawn" in request:
                preload(request["needs"])
                self._spawn(request["spawn"], request["assignment"])
            elif "kill" in request:
                self._kill(request["kill"])
        return bool(data)

    def _spawn(self, token: int, assignment: str) -> None:
        link, log = self.descriptors[:2]
        del self.descriptors[:2]
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(parent, link, log, assignment)
        os.close(link)
        os.close(log)
        self.tokens[pid] = token
        self._tell({"spawned": token, "pid": pid})

    def _become_child(self, parent: int, link: int, log: int, assignment: str) -> None:
        code = 1
        try:
            os.setsid()
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            leave_requests_to_the_supervisor()
            self.control.close()
            os.close(self.lifeline)
            os.close(self.wakeup)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            os.close(log)
            os.close(null)
            child = importlib.import_module("ad_workers.child")
            code = child.main(assignment, socket.socket(fileno=link))
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001 - the outermost edge of the child: nothing may return
            traceback.print_exc()
        finally:
            os._exit(code)

    def _bury(self) -> None:
        """Report every child that ended, after killing what is left of its process group."""
        while (ended := reap()) is not None:
            pid, status = ended
            token = self.tokens.pop(pid, None)
            if token is not None:
                self._tell({"ended": token, "status": os.waitstatus_to_exitcode(status)})

    def _kill(self, token: int) -> None:
        for pid, known in self.tokens.items():
            if known == token:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # it may not lead its group yet

    def _kill_all(self) -> None:
        for token in list(self.tokens.values()):
            self._kill(token)

    def _tell(self, message: dict[str, int]) -> None:
        with contextlib.suppress(OSError):  # the worker is gone: the lifeline will say so
            self.control.sendall(json.dumps(message).encode() + b"\n")


def leave_requests_to_the_supervisor() -> None:
    """Do nothing at a request to end that met every process: the order to checkpoint comes from the worker.

    A handler and not SIG_IGN: a program started here would inherit that, and could not be told to end.
    """
    for number in REQUESTS:
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)

    def as_usual() -> None:
        for number in REQUESTS:
            signal.signal(number, signal.SIG_DFL)

    os.register_at_fork(after_in_child=as_usual)


def reap() -> tuple[int, int] | None:
    """Return pid and status of a child that has ended, after killing what is left of its group."""
    try:
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                kill_group(pid)
            return (pid, status) if pid else None
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        # Before the pid is free again, so that the group cannot be somebody else's.
        kill_group(ended.si_pid)
        return os.waitpid(ended.si_pid, 0)
    except ChildProcessError:
        return None


def kill_group(pid: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Have what a dead child has left behind become this process's own, which reaps it: PID 1 may not."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def preload(names: Sequence[str]) -> None:
    """Import what children will need; a part that cannot be loaded is the child's to miss."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a broken library must not end the children that run
            print(f"zygote: {name} is not there for children: {error}", file=sys.stderr)  # noqa: T201
    if not missing:
        return
    # The first adapter looks through all that is installed for plugins: once is enough.
    pydantic.TypeAdapter(int)
    gc.freeze()  # a child's collector need not touch, and so copy, what all have in common


def main() -> None:
    """Preload, then serve."""
    control, lifeline = int(sys.argv[1]), int(sys.argv[2])
    leave_requests_to_the_holder()  # the worker decides; Ctrl-C reaches the whole terminal
    adopt_orphans()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A worker that dies while torch loads is noticed only afterwards: a few seconds, holding nothing.
    preload(PRELOAD)
    Zygote(socket.socket(fileno=control), lifeline, wake_read).serve()


if __name__ == "__main__":
    main()
