"""The page about the doctor names every kind of finding that the code makes, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text()


def test_the_page_names_every_kind_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "platform/ad_platform/doctor").glob("*.py"))
    made = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)" if \w+ else "', sources))
    for line in re.findall(r"kind(?:, why)? ?= ?(.*)", sources):
        made |= set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', line))
    made |= {"mixed-torch", "mixed-python"}
    kinds = PAGE.partition("## Kinds")[2].partition("## What it never does")[0]
    rows = [line.split("|")[1] for line in kinds.splitlines() if line.startswith("| `")]
    told = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    assert told == made
