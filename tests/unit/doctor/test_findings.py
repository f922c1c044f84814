"""A look that hangs or fails is a finding, and keeps no other look from being told."""

import threading
import time

from ad_platform.doctor.findings import Level, examine, ok
from ad_platform.errors import StoreDown


def test_findings_come_in_the_order_of_the_looks_whichever_ends_first():
    second_done = threading.Event()

    def first():
        assert second_done.wait(10)
        yield ok("a", "well")

    def second():
        yield ok("b", "well")
        second_done.set()

    assert [each.about for each in examine([("a", first), ("b", second)])] == ["a", "b"]


def test_a_look_that_hangs_is_given_up_and_said():
    let_go = threading.Event()
    began = time.monotonic()

    def hangs():
        let_go.wait(60)
        return []

    found = examine([("store", hangs), ("broker", lambda: [ok("broker", "answers")])], patience=0.1)
    let_go.set()

    assert time.monotonic() - began < 30
    assert [(each.level, each.about) for each in found] == [(Level.PROBLEM, "store"), (Level.OK, "broker")]
    assert found[0].words.startswith("no answer within")


def test_a_look_that_fails_says_in_one_line_why():
    def away():
        raise StoreDown("the store\ndoes not answer")

    def broken():
        raise RuntimeError("boom")

    found = examine([("store", away), ("disk", broken)])

    assert [each.words for each in found] == [
        "the store does not answer",
        "cannot be looked at: RuntimeError: boom",
    ]
    assert {each.level for each in found} == {Level.PROBLEM}
