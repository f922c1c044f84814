"""The right to collect: one process at a time has it, and one that is dead does not keep others waiting."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from ad_platform.errors import ClaimLost, Conflict
from ad_platform.store.retention_contract import Retention

CLAIM = 60.0  # seconds; a single copy of a large file may take some
RENEWED = 10.0  # seconds after which a claim is lengthened
PATIENCE = 20.0  # seconds to wait for another collection

Hold = Callable[[], None]


@contextmanager
def alone(
    retention: Retention,
    node: str,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, Hold]]:
    """Have the right to collect for a while; give who one is, and what says before each step that it holds.

    Raises Conflict where somebody else collects for long; the steps raise ClaimLost once the right is lost.
    """
    owner = f"{node}:{os.getpid()}:{secrets.token_hex(4)}"
    _take(retention, node, owner, monotonic, pause)
    renewed = monotonic()

    def hold() -> None:
        nonlocal renewed
        now = monotonic()
        if now - renewed < RENEWED:
            return
        if not retention.claim(owner, CLAIM):
            raise ClaimLost("the storage", owner, "the collection of")
        renewed = now

    try:
        yield owner, hold
    finally:
        retention.release(owner)


def _take(
    retention: Retention,
    node: str,
    owner: str,
    monotonic: Callable[[], float],
    pause: Callable[[float], None],
) -> None:
    until = monotonic() + PATIENCE
    while not retention.claim(owner, CLAIM):
        other = retention.holder()
        if other is not None and _is_dead(other, node):
            retention.release(other)
        elif monotonic() >= until:
            raise Conflict(f"another collection is under way ({other}); try again when it has ended")
        else:
            pause(0.2)


def _is_dead(owner: str, node: str) -> bool:
    """Say whether an owner was a process of this machine that is no more."""
    where, _, rest = owner.rpartition(":")[0].rpartition(":")
    return where == node and rest.isdigit() and not psutil.pid_exists(int(rest))
