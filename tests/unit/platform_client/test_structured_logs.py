"""With ADCTL_LOG=json each line of a log is a JSON object that says what it is about."""

import json
import logging
import threading

import pytest

from ad_platform import structured_logs
from ad_platform.errors import InvalidValue
from ad_platform.structured_logs import JsonFormatter, about, chosen


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(structured_logs, "_always", {})
    found: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(JsonFormatter())
    handler.emit = lambda record: found.append(handler.format(record))  # type: ignore[method-assign]
    log = logging.getLogger("ad_workers.a_test")
    log.propagate = False
    log.addHandler(handler)
    yield found  # type: ignore[misc]
    log.removeHandler(handler)
    log.propagate = True


def test_a_line_says_when_how_bad_who_and_about_which_job(lines: list[str]) -> None:
    log = logging.getLogger("ad_workers.a_test")
    structured_logs.always(worker="gpu1-1")
    with about(job="3f9a", attempt=2):
        log.warning("lost %s\nand more", "x")
        other = threading.Thread(target=log.warning, args=("of no job",))
        other.start()
        other.join()
    log.error("after")
    first, second, third = map(json.loads, lines)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "ad_workers.a_test",
        "message": "lost x\nand more",
        "worker": "gpu1-1",
        "job": "3f9a",
        "attempt": 2,
    }
    assert "job" not in second
    assert "job" not in third
    assert all("\n" not in line for line in lines)


def test_an_error_comes_with_its_traceback_on_the_same_line(lines: list[str]) -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("ad_workers.a_test").exception("failed")
    (line,) = lines
    assert "ValueError: bad" in json.loads(line)["error"]


def test_what_it_is_not_is_said() -> None:
    assert (chosen({}), chosen({"ADCTL_LOG": "json"})) == ("text", "json")
    with pytest.raises(InvalidValue, match="ADCTL_LOG must be text or json, not 'xml'"):
        chosen({"ADCTL_LOG": "xml"})
