"""The files that a cluster is built and started from: a checkout's own, or those that the wheel carries."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import Unavailable

COMPOSE, EXAMPLE = "compose.yaml", ".env.example"
NAMES = (COMPOSE, EXAMPLE, "grafana.json", "Dockerfile", ".dockerignore", "constraints.txt")
_CARRIED = Path(__file__).parent / "recipes"  # in a wheel
_CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of the files in a folder."""

    made: tuple[str, ...]
    other: tuple[str, ...]  # that are there already, and say something else than this adctl's


def source() -> Path:
    """Return the folder that holds the files; raise Unavailable where neither wheel nor checkout has them."""
    for folder in (_CARRIED, _CHECKOUT):
        if all((folder / name).is_file() for name in NAMES):
            return folder
    raise Unavailable("the files of a cluster are missing from this installation: install adctl again")


def is_checkout(folder: Path) -> bool:
    """Say whether images are built from sources that lie there."""
    return (folder / "pyproject.toml").is_file()


def write(folder: Path) -> Written:
    """Put the files where they are missing; those that are there stay as they are."""
    made, other = list[str](), list[str]()
    for name in NAMES:
        wanted, there = source() / name, folder / name
        if not there.exists():
            shutil.copyfile(wanted, there)
            made.append(name)
        elif there.read_bytes() != wanted.read_bytes():
            other.append(name)
    return Written(made=tuple(made), other=tuple(other))
