"""A test that measures seconds has the machine for itself; the others share it, and cannot starve it."""

import threading
from collections.abc import Iterator

import pytest

import taking_turns

OTHER, ALONE = "tests/unit/test_a.py::test_b", "tests/integration/stack/test_a.py::test_b"


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test-{request.node.name}"
    yield name
    taking_turns.tidy(name)


def begin(node: str, run: str) -> tuple[threading.Event, threading.Event, threading.Thread]:
    """Take a turn in a thread; return what says that it has begun, what ends it, and the thread."""
    begun, end = threading.Event(), threading.Event()

    def take() -> None:
        with taking_turns.turn(node, run):
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=take)
    thread.start()
    return begun, end, thread


def test_others_run_side_by_side_and_one_alone_waits_for_them_before_any_newcomer(run: str) -> None:
    first, end_first, one = begin(OTHER, run)
    second, end_second, two = begin(OTHER, run)
    assert first.wait(10)
    assert second.wait(10)

    alone, end_alone, three = begin(ALONE, run)
    assert not alone.wait(0.2)
    late, end_late, four = begin(OTHER, run)
    end_first.set()
    assert not alone.wait(0.2)
    assert not late.is_set()

    end_second.set()
    assert alone.wait(10)
    assert not late.wait(0.2)
    end_alone.set()
    assert late.wait(10)
    end_late.set()
    for thread in (one, two, three, four):
        thread.join(10)
