"""Whoever asks a server for scores: rightly, wrongly, and with anything that is JSON."""

import base64
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import hypothesis.strategies as st

JSON = "application/json"


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

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the text of a page."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def ask(self, inputs: Any, **params: Any) -> list[dict[str, Any]]:
        """Have pictures scored."""
        status, text = self.post(json.dumps({"inputs": inputs, "params": params}).encode())
        assert status == 200, text
        return json.loads(text)["predictions"]  # type: ignore[no-any-return]


def answers(port: int, path: str) -> bool:
    """Say whether a server's page is there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def encoded(path: Path) -> str:
    """Return a file as it is sent."""
    return base64.b64encode(path.read_bytes()).decode()


# Requests that nobody can answer, and the content type they claim.
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


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=8,
)
KEYS = st.sampled_from(["inputs", "params", "instances", "dataframe_split", "dataframe_records", "messages"])
ANY_BODY = st.dictionaries(KEYS, VALUES, max_size=3)
