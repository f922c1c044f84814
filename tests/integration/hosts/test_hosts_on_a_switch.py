"""Test hosts hear one another over a switch until a link is cut, and again once it is healed."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import netns

PORT = 7000


@pytest.fixture(scope="module")
def net() -> Iterator[netns.Net]:
    if why := netns.why_not():
        pytest.skip(why)  # also in CI, which may be no root: the tests on hosts are slow ones
    with netns.network("client") as made:
        yield made


@pytest.fixture(scope="module")
def server(net: netns.Net) -> Iterator[netns.Host]:
    host = net.add("server")
    with host.inside():
        listener = socket.create_server((host.address, PORT))

        def greet() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                near.sendall(b"hello")
                near.close()

        threading.Thread(target=greet, daemon=True).start()
    yield host
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def heard(address: str, seconds: float = 5.0) -> bytes:
    with socket.create_connection((address, PORT), seconds) as connection:
        return connection.recv(100)


def test_a_link_that_is_cut_lets_nothing_pass_until_it_is_healed(server: netns.Host) -> None:
    assert heard(server.address) == b"hello"
    server.cut()
    with pytest.raises(OSError, match=r"timed out|No route|unreachable"):
        heard(server.address, 0.3)
    server.heal()
    assert heard(server.address) == b"hello"


def test_hosts_have_a_loopback_of_their_own_and_know_what_runs_on_them(
    net: netns.Net, server: netns.Host
) -> None:
    worker = net.add("worker")
    with pytest.raises(ConnectionRefusedError):
        heard("127.0.0.1")
    assert not worker.busy()
    asking = f"import socket; print(socket.create_connection(('{server.address}', {PORT}), 5).recv(9))"
    command = worker.command(sys.executable, "-c", f"{asking}; input()")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as there:
        assert there.stdout is not None
        assert there.stdout.readline() == "b'hello'\n"
        assert worker.busy()
        there.communicate("\n")


def test_what_dawdles_comes_late_and_whole(net: netns.Net, server: netns.Host) -> None:
    slow = net.add("slow")
    slow.dawdle(0.2, (server.address, PORT))
    with slow.inside():
        began = time.monotonic()
        assert heard("127.0.0.1") == b"hello"
        assert time.monotonic() - began >= 0.2
    slow.hurry()


def test_nothing_is_left_of_a_network() -> None:
    if why := netns.why_not():
        pytest.skip(why)
    before = subprocess.run(["ip", "link"], capture_output=True, check=True).stdout
    with netns.network("client") as net:
        mark = net.mark
        net.add("other")
        assert subprocess.run(["ip", "link"], capture_output=True, check=True).stdout != before
    assert subprocess.run(["ip", "link"], capture_output=True, check=True).stdout == before
    assert mark not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
