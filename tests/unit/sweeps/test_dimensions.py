"""The small grammar of what is searched, and clear words for what cannot be."""

from random import Random

import pytest

from ad_platform.catalogue import DetectorEntry
from ad_platform.errors import InvalidRequest
from ad_platform.sweeps.dimensions import CHOICE, FLOAT, INT, Dimension, parse
from sweepkit import ENTRY

SLOPE = DetectorEntry.from_json("slope", ENTRY)


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("noise_step=50:500:25", INT, [50, 75, 100]),
        ("NOISE_STEP = 50:52", INT, [50, 51, 52]),
        ("w=0:12", FLOAT, None),
        ("w=0:1:0.3", FLOAT, [0.0, 0.3, 0.6]),
        ("w=0.1:10:log", FLOAT, None),
        ("steps=1:1000:log", INT, None),
        ("even=4:10", INT, [4, 6, 8]),
        ("mode=mean,MAX", CHOICE, ["mean", "max"]),
        ("noise_step=50,100", CHOICE, [50, 100]),
    ],
)
def test_a_parameter_is_read(text: str, kind: str, values: list[object] | None) -> None:
    found = parse(SLOPE, text)
    assert found.kind == kind
    if values is not None:
        assert [found.value(index) for index in range(min(3, found.count or 0))] == values
    assert Dimension.from_json(found.to_json()) == found
    assert parse(SLOPE, f"{found.name}={found.words}") == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("noise_step", "written NAME=a:b"),
        ("=1:2", "written NAME=a:b"),
        ("w=", "written NAME=a:b"),
        ("w=3", "set it: -S w=3"),
        ("nois_step=1:2", "did you mean noise_step?"),
        ("w=12:0", "w=12:0 is empty: it must begin below its end"),
        ("w=3:3", "is empty"),
        ("w=0:50", "w must be a number from 0 to 20, not 50"),
        ("w=-1:5", "w must be a number from 0 to 20, not -1"),
        ("w=a:b", "'a' is no number"),
        ("w=1:2:3:4", "cannot be read"),
        ("w=1::2", "cannot be read"),
        ("w=0:12:0", "the step 0 must be above 0"),
        ("w=0:12:-1", "the step -1 must be above 0"),
        ("w=0:1:5", "the step 5 must be above 0 and fit into the range"),
        ("w=0:1:log", "must begin above 0"),
        ("w=nan:1", "no number that can be searched"),
        ("w=1:inf", "no number that can be searched"),
        ("noise_step=1.5:9", "takes whole numbers, and 1.5 is none"),
        ("noise_step=1:9:0.5", "takes whole numbers, and 0.5 is none"),
        ("mode=a:b", "list choices: mode=x,y,z"),
        ("mode=mean,median", "'median'"),
        ("mode=mean,mean", "has mean twice"),
        ("mode=mean,", "mode"),
        ("strides=1,2", "--space FILE"),
        ("even=3:9", "even must be"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(SLOPE, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["noise_step=50:500:25", "w=0:12", "w=0.1:10:log", "steps=1:1000:log", "mode=mean,max"]
)
def test_what_is_drawn_or_laid_out_lies_in_the_range(text: str) -> None:
    found = parse(SLOPE, text)
    random = Random(1)
    drawn = [found.drawn(random) for _ in range(50)]
    assert all(found.holds(value) for value in [*drawn, *found.grid(5)])
    assert len({str(value) for value in drawn}) > 1
    assert not found.holds(10**9)
    assert not found.holds("nothing")


def test_a_value_between_two_steps_is_none_of_those_that_are_tried() -> None:
    found = parse(SLOPE, "noise_step=50:100:25")
    assert [found.holds(value) for value in (50, 75, 100, 60, 125, True, "75")] == [True] * 3 + [False] * 4
    assert parse(SLOPE, "w=0:1:0.1").holds(0.3)
    assert not parse(SLOPE, "w=0:1:0.1").holds(0.35)
