"""Lengths of time, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ad_platform import durations
from ad_platform.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("2d", 172800)),
        *(("1.5h", 5400), (" 2H ", 7200), ("1h 30m", 5400), ("90m", 5400)),
    ],
)
def test_what_people_write_is_understood(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "h", "-1h", "1y", "1h30", "1:30", "nan", "1e3s", "1,5h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a length of time, such as 90s, 30m, 2h, 1h30m or 2d"):
        durations.seconds(text)


def test_a_bare_number_asks_which_unit_was_meant() -> None:
    with pytest.raises(InvalidValue, match="is it 90s, 90m or 90h"):
        durations.seconds("90")


@pytest.mark.parametrize("text", ["0s", "0.5s", "367d"])
def test_what_cannot_be_a_limit_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match=f"must be from 1s to 366d, not {text}"):
        durations.seconds(text)


@given(st.floats(1.0, durations.LONGEST, allow_nan=False))
def test_what_is_written_is_read_back(length: float) -> None:
    assert durations.seconds(durations.exact(length)) == pytest.approx(round(length, 3), abs=1e-6)
