"""The worker's side of the zygote: start children, hear of their ends, start the zygote again if it dies."""

import contextlib
import itertools
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.lifeline import requests_held_back
from ad_workers.link import Link
from ad_workers.messages import Assignment, encode

log = logging.getLogger(__name__)

NO_BACKBONE = "none"  # as detectors call it in their setting `backbone`

# Of a worker's environment: what only the worker and its companions need. A child runs a detector's code.
NOT_FOR_CHILDREN = re.compile(
    r"ADCTL_(DATABASE|OPTUNA|BROKER|STORAGE)_(URL|OPTIONS)|MLFLOW_.*|PGPASS.*|REDISCLI_AUTH|CELERY_.*|FLOWER_.*"
)


def for_children(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the addresses and accounts of store, broker, Optuna and MLflow.

    What a storage takes from the environment (AWS_...) stays, since a child reads and writes there.
    """
    return {name: value for name, value in environ.items() if not NOT_FOR_CHILDREN.fullmatch(name)}


def needs(assignment: Assignment) -> list[str]:
    """Return what the zygote is to load before this child and keep for those after it.

    The library of pretrained networks takes two seconds and 200 MB, and many a worker never needs it.
    """
    config = assignment.spec.get("config")
    named = config.get("backbone", NO_BACKBONE) if isinstance(config, dict) else NO_BACKBONE
    return ["timm"] if named != NO_BACKBONE else []


@dataclass
class Child:
    """A process that makes one attempt, as its supervisor sees it."""

    token: int
    link: Link
    kill: Callable[[], None]  # the whole process group, without asking
    pid: int | None = None  # known once the zygote has forked it
    status: int | None = None  # exit code, negative for a signal; None if the zygote died with it
    ended: threading.Event = field(default_factory=threading.Event)


class Nursery:
    """Owns the zygote; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._closed = False
        self.ready = threading.Event()
        self._start()

    def spawn(self, assignment: Assignment, log_file: Path) -> Child:
        """Start a child; it begins as soon as the zygote can fork. Its prints go to the file."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs, log_file.open("ab") as output:
            token = next(self._tokens)
            child = Child(token, Link(ours), kill=lambda: self._kill(token))
            self._children[token] = child
            request = {"spawn": token, "assignment": encode(assignment).decode(), "needs": needs(assignment)}
            line = json.dumps(request).encode() + b"\n"
            try:
                sent = socket.send_fds(self._control, [line], [theirs.fileno(), output.fileno()])
                self._control.sendall(line[sent:])
            except OSError:  # the zygote is dying
                self._forget(child)
        return child

    def _kill(self, token: int) -> None:
        """Have a child killed; one that waits for a zygote which is still loading has ended at once."""
        # Behind the request to spawn it: should it be forked yet, it dies at once.
        self._send({"kill": token})
        child = self._children.get(token)
        if child is not None and not self.ready.is_set():
            child.status = -signal.SIGKILL
            self._forget(child)

    def close(self) -> None:
        """End the zygote and with it every child."""
        self._closed = True
        if not self.ready.is_set():
            self._process.kill()  # it has no child, and would not look up before torch is loaded
        os.close(self._lifeline)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        self._control.close()

    @property
    def pid(self) -> int:
        """Return the zygote's process id."""
        return self._process.pid

    def _start(self) -> None:
        self.ready.clear()
        ours, theirs = socket.socketpair()
        read, self._lifeline = os.pipe()
        # Threads that spin at every barrier made a step ten times slower beside another busy process.
        # And macOS ends a child forked by a process that has loaded Apple's libraries, unless told not to.
        calm = {"OMP_WAIT_POLICY": "PASSIVE", "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}
        with theirs, requests_held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ad_workers.zygote", str(theirs.fileno()), str(read)],
                pass_fds=(theirs.fileno(), read),
                stdin=subprocess.DEVNULL,
                env={**calm, **for_children(os.environ)},
                # A session of its own: Ctrl-C at the terminal must reach the worker alone, which then drains.
                start_new_session=True,
            )
        os.close(read)
        self._control = ours
        threading.Thread(target=self._listen, args=(ours, self._process), daemon=True).start()

    def _send(self, message: dict[str, int]) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self, control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
        """Hear the zygote until it ends; then count its children as dead and start another."""
        with contextlib.suppress(OSError), control, control.makefile("rb") as lines:
            for line in lines:
                self._hear(json.loads(line))
        if self._closed:
            return
        process.wait()
        log.error("the zygote ended (code %s), its children too; starting another", process.returncode)
        with self._lock:
            with contextlib.suppress(OSError):
                os.close(self._lifeline)
            for child in list(self._children.values()):
                self._forget(child)
            self._start()

    def _hear(self, message: dict[str, int]) -> None:
        if "ready" in message:
            self.ready.set()
            return
        child = self._children.get(message.get("spawned") or message.get("ended") or 0)
        if child is None:
            return
        if "spawned" in message:
            child.pid = message["pid"]
        else:
            child.status = message["status"]
            self._forget(child)

    def _forget(self, child: Child) -> None:
        self._children.pop(child.token, None)
        child.ended.set()
