"""What LitServe says of itself: on stderr, and nothing of helpers that are gone once all is to end."""

import io
import logging

import pytest

from ad_workers.serving import said


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def litserve(monkeypatch: pytest.MonkeyPatch, out: io.StringIO) -> logging.Logger:
    """Give a logger of a library whose own handler writes to stdout."""
    library = logging.getLogger("a.library")
    monkeypatch.setattr(library, "handlers", [logging.StreamHandler(out)])
    monkeypatch.setattr(said, "LITSERVE", library.name)
    return library.getChild("server")


@pytest.mark.parametrize("gone", [ConnectionResetError(104, "reset by peer"), EOFError(), BrokenPipeError()])
def test_a_helper_that_is_gone_is_said_until_all_is_to_end(
    litserve: logging.Logger, out: io.StringIO, monkeypatch: pytest.MonkeyPatch, gone: Exception
) -> None:
    monkeypatch.setattr("sys.stderr", err := io.StringIO())
    at_the_end = said.AtTheEnd()
    at_the_end.on_stderr()
    litserve.error("crashed", exc_info=gone)
    before = err.getvalue()
    assert f"crashed\n{type(gone).__name__}" in before
    at_the_end.come()
    litserve.error("crashed", exc_info=gone)
    assert (out.getvalue(), err.getvalue()) == ("", before)


def test_whatever_else_goes_wrong_at_the_end_is_said(
    litserve: logging.Logger, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", err := io.StringIO())
    at_the_end = said.AtTheEnd()
    at_the_end.on_stderr()
    at_the_end.come()
    litserve.error("no answer")
    litserve.error("crashed", exc_info=ValueError("of another kind"))
    assert (out.getvalue(), err.getvalue()) == ("", "no answer\ncrashed\nValueError: of another kind\n")
