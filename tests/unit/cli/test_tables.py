"""Promises of how tables are laid out."""

import re

import pytest

from ad_cli.tables import Column, cut, layout, one_line, width_of

COLUMNS = [
    Column(name="ID", width=8),
    Column(name="STATE", width=10, colour=lambda state: "red" if state == "failed" else ""),
    Column(name="NAME", takes_rest=True),
]


def test_on_a_terminal_columns_stand_where_they_stand_whatever_they_hold():
    short = list(layout(COLUMNS, [("a", "ok", "x")], 60))
    long = list(layout(COLUMNS, [("a" * 30, "quite another state", "y" * 90)], 60))

    assert short[0] == long[0]
    assert long[1] == "aaaaaaa…  quite ano…  " + "y" * 37 + "…"
    assert short[1].index("x") == long[1].index("y")


@pytest.mark.parametrize("width", [1, 2, 7, 9, 19, 20, 23, 30, 80])
def test_no_line_is_wider_than_the_terminal(width):
    lines = list(layout(COLUMNS, [("1" * 20, "failed", "ä部品" * 30), ("2", "ok", "")], width, coloured=True))

    assert max(width_of(re.sub(r"\x1b\[\d+m", "", line)) for line in lines) <= width


def test_without_a_terminal_nothing_is_cut_and_columns_still_line_up():
    lines = list(layout(COLUMNS, [("1" * 20, "failed", "n" * 200), ("2", "ok", "m")]))

    assert "n" * 200 in lines[1]
    assert lines[1].index("failed") == lines[2].index("ok") == lines[0].index("STATE")


def test_colours_do_not_move_columns():
    rows = [("1", "failed", "a"), ("2", "ok", "b")]
    plain = list(layout(COLUMNS, rows, 60))
    coloured = list(layout(COLUMNS, rows, 60, coloured=True))

    assert "\x1b[31mfailed\x1b[0m" in coloured[1]
    assert [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in coloured] == plain


def test_what_somebody_typed_as_a_name_cannot_steer_the_terminal():
    assert one_line("a\x1b[2Jb\nc\td") == "a [2Jb c d"
    assert "\x1b" not in "".join(layout(COLUMNS, [("1", "ok", "\x1b[2J")], 60))


def test_wide_characters_count_twice_where_they_are_cut():
    assert width_of("部品a") == 5
    assert cut("部品部品", 5) == "部品…"
    assert cut("abc", 0) == ""
