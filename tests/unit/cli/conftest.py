"""Calls adctl in this process against a client of the test's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clientkit import Bench, bench, make_category, migrated


@dataclass(frozen=True)
class Called:
    """What one call of adctl gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.out)


Adctl = Callable[..., Called]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        yield made


@pytest.fixture
def adctl(desk: Bench, capsys: pytest.CaptureFixture[str]) -> Iterator[Adctl]:
    from ad_cli import session
    from ad_cli.main import run

    def call(*arguments: str) -> Called:
        capsys.readouterr()
        code = run(arguments)
        seen = capsys.readouterr()
        return Called(int(code), seen.out, seen.err)

    with session.lend(desk.client):
        yield call


@pytest.fixture
def screw(tmp_path: Path) -> Path:
    return make_category(tmp_path / "images")
