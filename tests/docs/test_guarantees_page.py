"""Promises of the page of promises: one paragraph each, what it leaves out, and a test that is there."""

import re

from mutants.mutate import REPOSITORY

PAGE = (REPOSITORY / "docs" / "guarantees.md").read_text(encoding="utf-8")


def test_each_promise_says_what_it_leaves_out_and_names_its_test():
    parts = re.split(r"^## ", PAGE, flags=re.M)[1:]
    numbered = [part for part in parts if part[0].isdigit()]
    assert [int(part.partition(".")[0]) for part in numbered] == list(range(1, 13))
    for number, part in enumerate(numbered, 1):
        assert "*Not covered:*" in part, number
        (named,) = re.findall(r"`(tests/chaos/test_\d\d_\w+\.py)`", part)
        assert named.startswith(f"tests/chaos/test_{number:02}_")


def test_every_file_it_names_is_there():
    for named in re.findall(r"`(tests/\S+\.py)`", PAGE):
        assert (REPOSITORY / named).exists(), named
