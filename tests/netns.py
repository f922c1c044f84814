"""Hosts made of network namespaces, joined by a switch: tests live on one, and cut and heal the links.

Needs root (or the right to make namespaces) and iproute2. Kernels may lack netem: what dawdles is a relay.
"""

import ctypes
import itertools
import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CLONE_NEWNET = 0x40000000
PLACE = Path("/run/netns")
SUBNET = "10.77.0"  # of every switch: each is a namespace of its own
BRIDGE = "switch"
_numbers = itertools.count(1)


def why_not() -> str:
    """Say why no hosts can be made here; empty where they can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed: apt install iproute2"
    name = f"adctl-try-{os.getpid()}"
    tries = (
        ("ip", "netns", "add", name),
        ("ip", "-n", name, "link", "add", BRIDGE, "type", "bridge"),
        ("ip", "-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two"),
    )
    try:
        for command in tries:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                return f"network namespaces cannot be made here: {made.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Have this thread, and every process and thread that it starts, live in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
    with before.open("rb") as home, (PLACE / namespace).open("rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def forget_threads() -> None:
    """Have fsspec start another thread: the one that makes all requests lives where it was started."""
    asyn = sys.modules.get("fsspec.asyn")
    if asyn is not None:
        asyn.iothread[0] = asyn.loop[0] = None
        for kind in asyn.AsyncFileSystem.__subclasses__():
            kind.clear_instance_cache()


@dataclass
class Relay:
    """Passes connections to a port of this host on to the same port of another, each chunk after a delay."""

    server: str
    port: int
    delay: float = 0.0
    address: str = "127.0.0.1"  # where it listens
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.address, self.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection((self.server, self.port), 10) as far:
            ends = {near: far, far: near}
            with selectors.DefaultSelector() as selector:
                for end in ends:
                    selector.register(end, selectors.EVENT_READ)
                while not self.over.is_set():
                    for key, _ in selector.select(0.5):
                        chunk = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        if not chunk:
                            return
                        if self.delay:
                            self.over.wait(self.delay)
                        ends[key.fileobj].sendall(chunk)  # type: ignore[index]

    def close(self) -> None:
        """Listen no more, and let go of what is open."""
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@dataclass
class Host:
    """A namespace with an address of its own and one link to the switch."""

    name: str
    mark: str  # of the switch it hangs on
    number: int
    relays: list[Relay] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """Return its name as the kernel's tools know it."""
        return f"{self.mark}-{self.name}"

    @property
    def address(self) -> str:
        """Return where the other hosts reach it."""
        return f"{SUBNET}.{self.number}"

    def plug_in(self) -> None:
        """Make the namespace and its link."""
        here, port = self.namespace, f"port{self.number}"
        run("ip", "netns", "add", here)
        run(
            *("ip", "-n", self.mark, "link", "add", port, "type", "veth"),
            *("peer", "name", "eth0", "netns", here),
        )
        run("ip", "-n", self.mark, "link", "set", port, "master", BRIDGE)
        run("ip", "-n", here, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", here, "link", "set", link, "up")
        self.heal()

    def command(self, *words: str) -> list[str]:
        """Return what runs a command on this host; `ip` becomes the command and so keeps its process id."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def inside(self) -> AbstractContextManager[None]:
        """Have this thread live on this host for a while."""
        return inside(self.namespace)

    def busy(self) -> bool:
        """Say whether any process lives there."""
        command = ("ip", "netns", "pids", self.namespace)
        return bool(subprocess.run(command, check=True, capture_output=True).stdout.strip())

    def cut(self) -> None:
        """Let nothing pass any more; nobody is told, as when a cable is pulled."""
        run("ip", "-n", self.mark, "link", "set", f"port{self.number}", "down")

    def heal(self) -> None:
        """Let everything pass again."""
        run("ip", "-n", self.mark, "link", "set", f"port{self.number}", "up")

    def dawdle(self, seconds: float, *servers: tuple[str, int]) -> None:
        """Pass the same ports of this host's loopback on to servers, everything so much later each way."""
        with self.inside():
            self.relays += [Relay(address, port, seconds) for address, port in servers]

    def hurry(self) -> None:
        """Let nothing pass by the loopback any more."""
        while self.relays:
            self.relays.pop().close()


@dataclass
class Net:
    """A switch and the hosts on it."""

    mark: str
    hosts: list[Host] = field(default_factory=list)

    def add(self, name: str) -> Host:
        """Make another host."""
        host = Host(name, self.mark, len(self.hosts) + 1)
        self.hosts.append(host)
        host.plug_in()
        return host

    def remove(self) -> None:
        """Take all hosts down, whatever still runs there."""
        for host in self.hosts:
            host.hurry()
        for namespace in [*(host.namespace for host in self.hosts), self.mark]:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


@contextmanager
def network(home: str = "client") -> Iterator[Net]:
    """Give a network and live on its first host; `why_not` says whether that works here."""
    net = Net(f"adctl{os.getpid() % 100_000}-{next(_numbers)}")
    try:
        run("ip", "netns", "add", net.mark)
        # Without the wait of a real switch, which learns for half a minute before it passes anything.
        run("ip", "-n", net.mark, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
        run("ip", "-n", net.mark, "link", "set", BRIDGE, "up")
        with net.add(home).inside():
            forget_threads()
            try:
                yield net
            finally:
                forget_threads()
    finally:
        net.remove()
