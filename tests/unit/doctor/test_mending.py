"""Mending goes on while it helps, tells what came of it, and never hides what stays."""

from ad_platform.doctor.findings import Finding, Level, Mending, warning
from ad_platform.doctor.mending import ROUNDS, TRIES, mend
from ad_platform.errors import Conflict


def sick(name: str, do) -> Finding:
    return Finding(
        level=Level.WARNING, about="x", kind="k", subject=name, words=name, mending=Mending(words="w", do=do)
    )


def test_what_is_mended_is_gone_at_the_second_look_and_said():
    ill = {"a"}

    def do() -> str:
        ill.discard("a")
        return "is well"

    def look():
        return [sick(name, do) for name in ill]

    mended = mend(look, look())

    assert [(each.finding.subject, each.said, each.fixed) for each in mended.attempted] == [
        ("a", "is well", True)
    ]
    assert mended.found == ()


def test_what_is_seen_only_once_something_else_is_mended_is_mended_too():
    ill = ["a", "b", "c"]

    def look():
        return [sick(name, lambda: ill.pop(0)) for name in ill[:1]]

    assert [each.finding.subject for each in mend(look, look()).attempted] == ["a", "b", "c"]


def test_what_stays_is_tried_twice_and_told_with_the_reason_while_the_rest_is_mended():
    ill, tries = {"a", "b", "c"}, []

    def fail() -> str:
        tries.append(1)
        raise Conflict("somebody  holds it")

    def crash() -> str:
        raise ZeroDivisionError("no")

    def heal() -> str:
        ill.discard("c")
        return ""

    def look():
        return [sick(name, {"a": fail, "b": crash, "c": heal}[name]) for name in sorted(ill)]

    mended = mend(look, look())

    told = {each.finding.subject: (each.said, each.fixed) for each in mended.attempted}
    assert told["a"] == ("somebody holds it", False)
    assert told["b"] == ("ZeroDivisionError: no", False)
    assert told["c"][1]
    assert len(tries) == TRIES
    assert [finding.subject for finding in mended.found] == ["a", "b"]


def test_an_endless_row_of_findings_comes_to_an_end():
    rounds = []

    def look():
        rounds.append(1)
        return [sick(str(len(rounds)), lambda: "")]

    mend(look, look())

    assert len(rounds) == ROUNDS + 1


def test_what_cannot_be_mended_is_left_alone():
    told = []
    mended = mend(list, [warning("x", "y")], told.append)
    assert (mended.attempted, len(mended.found), told) == ((), 1, [])
