"""The page about security names tests that are there for each attacker, and says what is left out."""

import re

from mutants.mutate import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_file_it_names_is_there():
    named = re.findall(r"`((?:tests|\.ci)/\S+\.(?:py|toml))`", PAGE)
    assert len({*named}) > 15
    assert [each for each in named if not (REPOSITORY / each).exists()] == []
    links = re.findall(r"\]\(([a-z_]+\.md)", PAGE)
    assert [each for each in links if not (REPOSITORY / "docs" / each).exists()] == []


def test_each_attacker_has_a_test_in_the_way():
    attackers = re.search(r"## Who might want it.*?(?=\n## )", PAGE, re.S)
    assert attackers is not None
    parts = re.split(r"^### ", attackers[0], flags=re.M)[1:]
    assert len(parts) == 8
    assert [part.splitlines()[0] for part in parts if "`tests/" not in part] == []


def test_every_suite_of_attacks_is_named():
    suites = sorted((REPOSITORY / "tests" / "unit" / "security").glob("test_*.py"))
    assert suites
    assert [each.name for each in suites if f"tests/unit/security/{each.name}" not in PAGE] == []


def test_it_says_what_is_not_covered():
    left_out = PAGE.partition("## What is not covered")[2]
    for word in ("TLS", "Who submitted", "Denial of service", "malicious detector", "Tenants", "Hashes"):
        assert word in left_out
