"""Hosts made of network namespaces: a hub with the services, and others whose links to it tests cut and heal.

The hub's services listen on its loopback; a relay on the hub's end of each link leads there, and can dawdle.
Needs root (or the right to make namespaces) and iproute2.
"""

import ctypes
import os
import selectors
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CLONE_NEWNET = 0x40000000
PLACE = Path("/run/netns")


def why_not() -> str:
    """Say why no namespace can be made here; empty where one can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed: apt install iproute2"
    name = f"adctl-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return f"network namespaces cannot be made here: {made.stderr.strip()}" if made.returncode else ""


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True)


def enter(namespace: Path) -> None:
    """Have this thread, and what it starts from now on, live in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open("rb") as opened:
        if libc.setns(opened.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


@dataclass
class Relay:
    """Passes TCP connections on to a port of the hub's loopback, each chunk after a delay."""

    address: str
    port: int
    delay: float = 0.0
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
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 10) as far:
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
    """A namespace with one link to the hub; `hub` is the hub's address as it is seen from here."""

    name: str
    hub: str
    link: str  # the hub's end
    relays: list[Relay] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        """Return what runs a command on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Let nothing pass any more; nobody is told, as when a cable is pulled."""
        run("ip", "link", "set", self.link, "down")

    def heal(self) -> None:
        """Let everything pass again."""
        run("ip", "link", "set", self.link, "up")

    def dawdle(self, seconds: float) -> None:
        """Have everything pass so much later, in each direction."""
        for relay in self.relays:
            relay.delay = seconds


@dataclass
class Net:
    """The hub, in which this thread lives, and its hosts."""

    mark: str
    hosts: list[Host] = field(default_factory=list)

    def add(self, *ports: int) -> Host:
        """Make a host that reaches these ports of the hub's loopback."""
        number = len(self.hosts) + 1
        name, link, far = f"{self.mark}-{number}", f"ad{number}h", f"ad{number}f"
        here, there = f"10.77.{number}.1", f"10.77.{number}.2"
        run("ip", "netns", "add", name)
        host = Host(name, here, link)
        self.hosts.append(host)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", far, "netns", name)
        run("ip", "addr", "add", f"{here}/24", "dev", link)
        run("ip", "link", "set", link, "up")
        run(*host.command("ip", "addr", "add", f"{there}/24", "dev", far))
        run(*host.command("ip", "link", "set", far, "up"))
        run(*host.command("ip", "link", "set", "lo", "up"))
        host.relays = [Relay(here, port) for port in ports]
        return host


@contextmanager
def hub() -> Iterator[Net]:
    """Live in a namespace of its own, then take all hosts down; `why_not` says whether that works here."""
    before = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
    net = Net(f"adctl{os.getpid() % 100_000}")
    with before.open("rb") as home:
        run("ip", "netns", "add", f"{net.mark}-hub")
        try:
            enter(PLACE / f"{net.mark}-hub")
            run("ip", "link", "set", "lo", "up")
            yield net
        finally:
            for host in net.hosts:
                for relay in host.relays:
                    relay.close()
            ctypes.CDLL(None).setns(home.fileno(), CLONE_NEWNET)
            for name in [*(host.name for host in net.hosts), f"{net.mark}-hub"]:
                subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
