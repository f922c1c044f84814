"""`mlflow models serve` answers with scores and maps, and to wrong input with status 400 and a reason."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

import hostile_images as hostile
from ad_detectors import load
from mlflow_home import QUIET
from served import Packed, pack
from services import free_port, unavailable

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]
JSON = "application/json"
PATIENCE = 120.0


@dataclass(frozen=True)
class Server:
    """A server that answers on the loopback."""

    port: int

    def post(self, body: bytes, kind: str | None = JSON) -> tuple[int, str]:
        """Send a request as it is, and return the status and the text of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/invocations", body, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def ask(self, inputs: Any, **params: Any) -> list[dict[str, Any]]:
        """Have pictures scored."""
        status, text = self.post(json.dumps({"inputs": inputs, "params": params}).encode())
        assert status == 200, text
        return json.loads(text)["predictions"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def server(packed: Packed) -> Iterator[Server]:
    """MLflow's own server, to which nothing of ours is known but the model's folder."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(packed.folder)]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = packed.folder.parent / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=packed.folder.parent,
            env={**plain, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                unavailable(f"mlflow models serve did not start: {log.read_text()[-800:]}")
            time.sleep(0.1)
        yield Server(port)
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_base64_and_arrays_have_the_scores_of_the_evaluation(server: Server, packed: Packed) -> None:
    scores = packed.scores
    assert [each["score"] for each in server.ask([encoded(path) for path in scores])] == [*scores.values()]
    rows = [np.asarray(Image.open(path)).tolist() for path in scores]
    assert [each["score"] for each in server.ask(rows)] == [*scores.values()]
    assert [server.ask(encoded(path))[0]["score"] for path in [*scores][:3]] == [*scores.values()][:3]
    assert server.ask({"image": rows[0]}) == server.ask([{"image": encoded(next(iter(scores)))}])


def test_a_map_comes_as_it_is_asked_for(server: Server, packed: Packed) -> None:
    path = next(path for path in packed.scores if path.parent.name == "cut")
    expected = load(packed.folder).predict(path)
    (answer,) = server.ask(encoded(path), maps="array")
    assert np.array_equal(np.array(answer["map"], np.float32), expected.map)
    assert answer["anomalous"] is True
    assert (answer["threshold"], answer["map_threshold"]) == (expected.threshold, expected.map_threshold)
    for maps in ("png", "overlay"):
        (answer,) = server.ask(encoded(path), maps=maps)
        assert base64.b64decode(answer["map"]).startswith(hostile.PNG)
    assert "map" not in server.ask(encoded(path))[0]


WRONG: list[tuple[bytes, str | None]] = [
    (b"", JSON),
    (b"{}", JSON),
    (b"{}", None),
    (b"[1]", JSON),
    (b"3", JSON),
    (b"null", JSON),
    (b"not json", JSON),
    (b"\x00\xff\xfe", JSON),
    (b'{"inputs": NaN}', JSON),
    (b'{"inputs": []}', JSON),
    (b'{"inputs": ""}', JSON),
    (b'{"inputs": "part.png"}', JSON),
    (b'{"inputs": "/etc/passwd"}', JSON),
    (b'{"inputs": "\\ud800"}', JSON),
    (b'{"inputs": {"picture": "aGVsbG8="}}', JSON),
    (b'{"inputs": [[[1, 2, 3], [1, 2]]]}', JSON),
    (b'{"inputs": [[[1e999, 2, 3]]]}', JSON),
    (b'{"inputs": [[["1", 2, 3]]]}', JSON),
    (b'{"inputs": [[[' + b"9" * 5000 + b", 2, 3]]]}", JSON),
    (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON),
    (b'{"inputs": [[[1, 2, 3]]], "params": {"maps": "heat"}}', JSON),
    (b'{"inputs": [[[1, 2, 3]]], "params": {"maps": 3}}', JSON),
    (b'{"inputs": [[[1, 2, 3]]], "params": [3]}', JSON),
    (b'{"instances": ["aGVsbG8="]}', JSON),
    (b'{"dataframe_records": [{"image": "aGVsbG8="}]}', JSON),
    (b'{"dataframe_split": 3}', JSON),
    (b'{"messages": []}', JSON),
    (b'{"prompt": 1, "input": 2}', JSON),
    (b"image\naGVsbG8=\n", "text/csv"),
    (b"\xff", "text/csv"),
    (b"", "text/csv"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"a=1", "application/x-www-form-urlencoded"),
    (b"{}", "application/json; charset=latin1"),
    (b"{}", "application/json; q=1"),
    (b"{}", "image/png"),
]


@pytest.mark.parametrize(("body", "kind"), WRONG)
def test_wrong_input_is_refused_with_a_reason(server: Server, body: bytes, kind: str | None) -> None:
    status, text = server.post(body, kind)
    expected = 400 if kind in (JSON, None, "text/csv", "application/vnd.apache.parquet") else 415
    assert status == expected, text
    assert len(text) > 20


def test_every_hostile_file_is_refused_with_its_reason(server: Server, tmp_path: Path) -> None:
    for bad in hostile.build(tmp_path):
        if bad.path.is_file() and bad.path.stat().st_size < hostile.SPARSE:
            status, text = server.post(json.dumps({"inputs": [encoded(bad.path)]}).encode())
            assert status == 400, bad.path
            assert json.loads(text)["message"].startswith("cannot read picture 0: ")


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=8,
)
KEYS = st.sampled_from(["inputs", "params", "instances", "dataframe_split", "dataframe_records", "messages"])


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_json_is_answered_or_refused_but_no_fault_of_the_server(server: Server, body: Any) -> None:
    status, text = server.post(json.dumps(body).encode())
    assert status in (200, 400), text
    json.loads(text)


def test_the_server_still_answers_after_all_that(server: Server, packed: Packed) -> None:
    path, score = next(iter(packed.scores.items()))
    assert server.ask(encoded(path))[0]["score"] == score
