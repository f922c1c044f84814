"""constraints.txt pins everything that adctl asks for, inside the ranges of pyproject.toml."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


def asked() -> list[Requirement]:
    project = PROJECT["project"]
    lines = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    lines += [line for extra in project["optional-dependencies"].values() for line in extra]
    return [Requirement(line) for line in lines if not line.startswith("adctl")]


@pytest.mark.parametrize("requirement", asked(), ids=lambda requirement: requirement.name)
def test_what_is_asked_for_is_pinned_inside_its_range(requirement: Requirement) -> None:
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_the_pinned_packages_need_is_pinned_too() -> None:
    pinned = pins()
    todo = [(requirement.name, frozenset(requirement.extras)) for requirement in asked()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # of an extra, or for another system
        for needed in map(Requirement, lines):
            if any(
                needed.marker is None or needed.marker.evaluate({"extra": extra}) for extra in ["", *extras]
            ):
                assert canonicalize_name(needed.name) in pinned, f"{name} needs {needed.name}"
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))


def test_nothing_local_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"@|file:|/work|^-|^adctl", text, re.M)
