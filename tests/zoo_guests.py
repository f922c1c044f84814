"""Detectors made up for tests, as files that the registry finds."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ad_detectors import registry, zoo
from made_up_detectors import ONE_FILE


@contextmanager
def guests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Put files into a folder that counts as part of zoo/, and forget their modules afterwards."""
    folder.mkdir()
    monkeypatch.setattr(zoo, "__path__", [*zoo.__path__, str(folder)])

    def add(name: str, source: str = ONE_FILE, **files: str) -> str:
        if files:
            (folder / name).mkdir()
            for file, text in {"__init__": source, **files}.items():
                (folder / name / f"{file}.py").write_text(text)
        else:
            (folder / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return name

    before = set(sys.modules)
    yield add
    for name in set(sys.modules) - before:
        if name.startswith(f"{registry.ZOO}."):
            del sys.modules[name]
            if hasattr(zoo, leaf := name.rpartition(".")[2]):
                delattr(zoo, leaf)
