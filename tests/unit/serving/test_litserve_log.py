"""What LitServe says of itself: on stderr, and nothing of helpers that are gone once all is to end."""

import io
import logging
import re
from collections.abc import Callable

import pytest

from ad_workers.serving import litserve_log


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, out: io.StringIO) -> Callable[[], logging.Logger]:
    """Give a logger of a library whose own handler, made anew when it starts, writes to stdout."""
    library = logging.getLogger("a.library")
    monkeypatch.setattr(litserve_log, "LITSERVE", library.name)
    for logger in (library, library.getChild("server")):
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", True)

    def start() -> logging.Logger:
        library.addHandler(logging.StreamHandler(out))
        return library.getChild("server")

    return start


@pytest.mark.parametrize("gone", [ConnectionResetError(104, "reset by peer"), EOFError(), BrokenPipeError()])
def test_a_helper_that_is_gone_is_said_until_all_is_to_end(
    starts: Callable[[], logging.Logger], out: io.StringIO, monkeypatch: pytest.MonkeyPatch, gone: Exception
) -> None:
    monkeypatch.setattr("sys.stderr", err := io.StringIO())
    log = litserve_log.LitServeLog()
    log.take_over()
    litserve = starts()
    litserve.error("crashed", exc_info=gone)
    before = err.getvalue()
    assert f"a.library.server crashed\n{type(gone).__name__}" in before
    log.expect_the_end()
    litserve.error("crashed", exc_info=gone)
    assert (out.getvalue(), err.getvalue()) == ("", before)


def test_whatever_else_goes_wrong_at_the_end_is_said(
    starts: Callable[[], logging.Logger], out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", err := io.StringIO())
    log = litserve_log.LitServeLog()
    log.take_over()
    litserve = starts()
    log.expect_the_end()
    litserve.error("no answer")
    litserve.error("crashed", exc_info=ValueError("of another kind"))
    assert out.getvalue() == ""
    assert re.fullmatch(r".* no answer\n.* crashed\nValueError: of another kind\n", err.getvalue())
