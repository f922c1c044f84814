"""The client that commands talk through, made from the environment unless a test lends one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.client import Client
    from ad_platform.settings import Settings
    from ad_platform.sweeps.steering import Sweeps

_lent: "list[Client]" = []


def settings() -> "Settings":
    """Return the settings of this call."""
    if _lent:
        return _lent[-1].settings
    from ad_platform import settings as environment

    return environment.load()


@contextmanager
def client() -> "Iterator[Client]":
    """Give the client of this call, and close it afterwards."""
    if _lent:
        yield _lent[-1]
        return
    from ad_platform.client import Client

    with Client(settings()) as fresh:
        yield fresh


def sweeps(client: "Client") -> "Sweeps":
    """Return what can be asked of sweeps through a client."""
    return client.sweeps


def benchmarks(client: "Client") -> "Benchmarks":
    """Return what can be asked of benchmarks through a client."""
    return client.benchmarks


@contextmanager
def lend(lent: "Client") -> Iterator[None]:
    """Let every command use this client for a while; whoever lends it closes it."""
    _lent.append(lent)
    try:
        yield
    finally:
        _lent.pop()
