"""A child that has hardly any memory left still says so."""

import socket
import traceback

import pytest

from ad_platform.states import FailureClass
from ad_workers.child import _failed
from ad_workers.exits import Exit
from ad_workers.link import Link
from ad_workers.messages import Failed

STORAGE = "file:///nowhere"


@pytest.fixture
def links():
    ours, theirs = socket.socketpair()
    pair = Link(ours), Link(theirs)
    yield pair
    for link in pair:
        link.close()


class Held:
    """Stands for a large tensor; `alive` counts."""

    alive = 0

    def __init__(self) -> None:
        Held.alive += 1

    def __del__(self) -> None:
        Held.alive -= 1


def overflow() -> Exception:
    def work() -> None:
        held = Held()
        assert held
        raise MemoryError("no room")

    try:
        work()
    except MemoryError as error:
        return error
    raise AssertionError


def test_what_a_failed_attempt_held_is_freed_before_it_speaks(links):
    near, far = links
    error = overflow()
    assert Held.alive == 1
    assert _failed(near, error, STORAGE) is Exit.FAILED
    assert Held.alive == 0
    assert far.receive(1.0) == [Failed(failure=FailureClass.OOM, error="MemoryError: no room")]


def test_without_memory_even_for_that_the_exit_code_says_it(links, monkeypatch):
    near, far = links

    def full(error: BaseException) -> list[str]:
        raise MemoryError

    monkeypatch.setattr(traceback, "format_exception", full)
    assert _failed(near, overflow(), STORAGE) is Exit.NO_MEMORY
    assert far.receive(0.1) == []
