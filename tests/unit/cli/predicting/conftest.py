"""One model for all tests of predictions: they change nothing in its store."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fitted
import placed_model
from clientkit import Bench, bench
from placed_model import Placed

Said = Callable[[bytes], None]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> fitted.Fitted:
    return fitted.fit(tmp_path_factory.mktemp("fitted"))


@pytest.fixture(scope="session")
def desk(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One store for all: predictions change nothing in it."""
    with bench(template, tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="session")
def kept(desk: Bench, made: fitted.Fitted) -> Placed:
    return placed_model.place(desk.client, made)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Let bytes come on stdin."""

    def say(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return say


@pytest.fixture
def placed(kept: Placed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Placed:
    monkeypatch.chdir(tmp_path)
    return kept
