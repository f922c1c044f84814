"""Calls adctl in this process against a client of the test's own."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clientkit import Bench, bench, make_category, migrated
from mistakes import Desk, Mistake, make_desk, make_template, problems, state_of


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


@pytest.fixture(scope="session")
def busy_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def place(busy_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A home with jobs of every kind, which the environment names."""
    for name in list(os.environ):
        if name.startswith(("ADCTL_", "MLFLOW_")):
            monkeypatch.delenv(name)
    made = make_desk(busy_template, tmp_path)
    monkeypatch.setenv("ADCTL_HOME", str(made.home))
    monkeypatch.setenv("ADCTL_NODE", "here")
    monkeypatch.setenv("ADCTL_USER", "kim")
    monkeypatch.chdir(made.images)
    return made


@pytest.fixture
def said(place: Desk, capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], tuple[int, str, str]]:
    """Makes a call of adctl as the environment says, and gives its code, stdout and stderr."""
    from ad_cli.main import run

    def call(arguments: list[str]) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(arguments)
        seen = capsys.readouterr()
        return int(code), seen.out, seen.err

    return call


@pytest.fixture
def mistaken(
    place: Desk, said: Callable[[list[str]], tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mistake], None]:
    """Makes a mistake and fails unless one clear sentence is all that comes of it."""

    def check(row: Mistake) -> None:
        if row.before is not None:
            row.before(place)
        for name, value in row.env.items():
            monkeypatch.setenv(name, value.format_map(place.places))
        before = state_of(place)
        code, out, err = said(row.argv(place))
        assert not problems(row, code, out, err), (problems(row, code, out, err), err)
        assert state_of(place) == before

    return check
