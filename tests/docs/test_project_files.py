"""What the README and its companions say of commands, files and variables is so."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TARGETS = ("quickstart", "test", "check", "fmt", "up", "down", "slow", "bench")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_decisions_are_numbered_without_gaps_and_have_three_parts() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {int(record.name[:4])}. ")
        for part in ("Context", "Decision", "Consequences"):
            assert f"\n**{part}.** " in text, f"{record.name} lacks {part}"


def test_the_readme_names_variables_that_are_read() -> None:
    readers = (
        "platform/ad_platform/settings.py",
        "platform/ad_platform/roots.py",
        "platform/ad_platform/structured_logs.py",
        "detectors/ad_detectors/data/cache.py",
    )
    settings = "".join((ROOT / file).read_text() for file in readers)
    for name in re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.M):
        assert f'"{name}"' in settings, name


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_everyday_targets(target: str) -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in listed
    dry = subprocess.run(["make", "--dry-run", target, "DATA=x"], cwd=ROOT, capture_output=True, check=False)
    assert dry.returncode == 0


def test_quickstart_trains_on_your_own_images_only_where_the_call_says_so() -> None:
    def calls(*arguments: str) -> str:
        command = ["make", "--dry-run", "quickstart", *arguments]
        environment = {**os.environ, "DATA": "/of/something/else"}
        environment.pop("VENV", None)  # as CI sets it
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert calls().splitlines()[-1] == '".venv/bin/adctl" quickstart'
    assert '--data "/my images/bottle" --wait' in calls("DATA=/my images/bottle")


def test_make_works_in_a_path_with_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "a path with spaces"
    for name in ("bin", "tools"):
        (folder / name).mkdir(parents=True)
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text())
    for tool in ("ruff", "mypy", "lint-imports", "python"):
        script = folder / "bin" / tool
        script.write_text(f'#!/bin/sh\necho "{tool} $*" >>calls\n')
        script.chmod(0o755)
    check = ["make", "check", "VENV=.", "SIDE_BY_SIDE=-n 7"]
    subprocess.run(check, cwd=folder, capture_output=True, check=True)
    *lint, tests = (folder / "calls").read_text().splitlines()
    assert lint == ["ruff check", "ruff format --check", "mypy ", "lint-imports "]
    assert tests == "python -m pytest -n 7"


@pytest.mark.parametrize("script", [".ci/run", ".ci/venv"])
def test_scripts_parse_stop_at_errors_and_may_be_run(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", str(path)], check=True)
