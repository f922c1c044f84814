"""A zygote hears of every child that ended, also where the system cannot tell without burying it."""

import os
import signal

import pytest

from ad_workers import zygote

# Other tests may have left a thread that waits; the children here do nothing a thread could hold up.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(params=["with waitid", "without, as on macOS"])
def system(request, monkeypatch):
    if request.param != "with waitid":
        monkeypatch.delattr(os, "waitid")


def test_a_child_that_ended_is_told_with_its_status_and_its_group_is_killed(system):
    started, tell = os.pipe()
    held, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:  # a loader that outlives it; it holds the pipe open
            os.write(tell, b".")
            os.close(held)
            signal.pause()
        os._exit(7)
    os.close(hold)
    assert os.read(started, 1) == b"."
    while (ended := zygote.reap()) is None:
        os.sched_yield()

    assert (ended[0], os.waitstatus_to_exitcode(ended[1])) == (pid, 7)
    assert os.read(held, 1) == b""  # the end of the pipe: the loader is gone
    for number in (started, tell, held):
        os.close(number)


def test_without_children_there_is_nothing_to_bury(system):
    assert zygote.reap() is None
