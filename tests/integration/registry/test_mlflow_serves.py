"""`mlflow models serve` answers with scores and maps, and to wrong input with status 400 and a reason."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

import hostile_images as hostile
from ad_detectors import load
from mlflow_home import QUIET
from served import Packed, pack
from services import free_port, unavailable
from serving_client import ANY_BODY, JSON, WRONG, Server, answers, encoded

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]
PATIENCE = 120.0


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
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # where its uvicorn is
    log = packed.folder.parent / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=packed.folder.parent,
            env={**plain, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(port, "/ping"):
            if process.poll() is not None or time.monotonic() > deadline:
                unavailable(f"mlflow models serve did not start: {log.read_text()[-800:]}")
            time.sleep(0.1)
        yield Server(port)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may never have started
            os.killpg(process.pid, 15)
        process.wait(30)


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


@settings(max_examples=100, deadline=None)
@given(ANY_BODY)
def test_any_json_is_answered_or_refused_but_no_fault_of_the_server(server: Server, body: Any) -> None:
    status, text = server.post(json.dumps(body).encode())
    assert status in (200, 400), text
    json.loads(text)


def test_the_server_still_answers_after_all_that(server: Server, packed: Packed) -> None:
    path, score = next(iter(packed.scores.items()))
    assert server.ask(encoded(path))[0]["score"] == score
