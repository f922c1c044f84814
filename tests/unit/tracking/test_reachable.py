"""A server's address is tried before MLflow is loaded, and only silence counts as absence."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.errors import TrackingDown
from ad_platform.lifeline import Stop
from ad_platform.settings import load
from ad_platform.tracking import main
from ad_platform.tracking.reachable import knock
from answering import Answering, answering


@pytest.fixture
def served() -> Iterator[Answering]:
    with answering() as start:
        yield start


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize("code", [200, 401, 403, 404, 500])
def test_whatever_answers_is_left_to_mlflow(served: Answering, code: int) -> None:
    knock(served(code))


def test_a_server_that_speaks_no_plain_http_is_left_to_mlflow(served: Answering) -> None:
    knock(served(200).replace("http://", "https://"))


@pytest.mark.parametrize("uri", ["sqlite:////tmp/mlflow.db", "/tmp/mlruns", "databricks"])
def test_what_is_no_server_needs_no_knock(uri: str) -> None:
    knock(uri)


def test_silence_is_named_with_its_address_and_no_secret() -> None:
    port = closed_port()
    with pytest.raises(TrackingDown, match=f"127.0.0.1:{port} does not answer: .*refused"):
        knock(f"http://127.0.0.1:{port}")


def test_one_that_accepts_and_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(TrackingDown, match="timed out"):
        knock(f"http://127.0.0.1:{deaf.getsockname()[1]}", patience=0.2)


def test_a_shipper_opens_nothing_while_its_server_is_away_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("nothing is to be opened")

    monkeypatch.setattr(main, "open_shipper", opened)
    monkeypatch.setattr(main, "PAUSE", 0.05)
    settings = load({"ADCTL_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{closed_port()}"})
    stop = Stop()
    threading.Timer(0.5, stop).start()
    main.run(settings, stop)
    assert len(caplog.records) == 1
    assert "shipping waits: MLflow at http://127.0.0.1" in caplog.text
