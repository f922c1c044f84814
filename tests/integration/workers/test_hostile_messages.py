"""Whoever may write into the broker wakes workers and no more: nothing runs, and the next job is done."""

import base64
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ad_platform.queue.celery import make_app
from ad_platform.states import JobState
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]
QUEUE = "adctl.default"
HUGE = 8 << 20  # bytes
LOGGED = 200_000  # bytes that all of this may add to a worker's log


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self._sign = sign

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._sign,)


def message(body: bytes, kind: str = "application/json", task: str = "adctl.wake", **headers: Any) -> str:
    """Return a message as kombu keeps it in Redis."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8" if kind == "application/json" else "binary",
            "content-type": kind,
            "headers": {"lang": "py", "task": task, "id": "x", "root_id": "x", "parent_id": None, **headers},
            "properties": {
                "correlation_id": "x",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "x",
            },
        }
    )


def arguments(*args: object, **named: object) -> bytes:
    return json.dumps(
        [args, named, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    ).encode()


def hostile(sign: Path) -> list[str]:
    bird = pickle.dumps([[Canary(sign)], {}, {}])
    marked = pickle.dumps(Canary(sign))
    return [
        message(bird, "application/x-python-serialize"),
        message(bird, "application/json"),
        message(b"!!python/object/apply:os.system ['id']", "application/x-yaml"),
        message(b"\x82\xa1", "application/x-msgpack"),
        message(arguments(), task="os.system"),
        message(arguments("echo x"), task="subprocess.run"),
        message(arguments({"task": "os.system", "args": ["id"]}, [[]]), task="celery.map"),
        message(arguments(7)),
        message(arguments([["' OR 1=1 --"]])),
        message(arguments({"id": {"$gt": ""}})),
        message(arguments("'; DROP TABLE jobs; --")),
        message(arguments("../../etc/passwd")),
        message(arguments("\0")),
        message(arguments("x" * HUGE)),
        message(arguments(job_id="x", more="y")),
        message(arguments(*range(50))),
        message(arguments("x"), reply_to=base64.b64encode(marked).decode(), compression="nothing"),
        message(b"[" * 200_000),
        message(b"null"),
    ]


def test_messages_that_are_none_of_ours_run_nothing_and_stop_no_worker(land: Ground, worker, tmp_path: Path):
    sign = tmp_path / "the canary has died"
    pickle.loads(pickle.dumps(Canary(sign)))  # noqa: S301 - it sings
    sign.unlink()
    log = next((land.platform.home / "logs").glob("hand-0.log"))
    before = log.stat().st_size
    with land.broker.client() as broker:
        for each in hostile(sign):
            broker.lpush(QUEUE, each)
        land.platform.wait(lambda: not broker.llen(QUEUE), "all of them are taken", 60)

    job = land.submit(steps=4)

    assert land.ended(job).state is JobState.SUCCEEDED
    assert worker.poll() is None
    assert not sign.exists()
    said = log.read_bytes()[before:]
    assert len(said) < LOGGED, said[:2000]


def test_text_that_is_no_message_at_all_breaks_the_listener_and_it_listens_anew(land: Ground, worker):
    with land.broker.client() as broker:
        for each in ("no JSON", "[]"):
            broker.lpush(QUEUE, each)
            land.platform.wait(lambda: not broker.llen(QUEUE), "it is taken", 60)
            assert land.ended(land.submit(steps=2)).state is JobState.SUCCEEDED
    assert worker.poll() is None
    said = next((land.platform.home / "logs").glob("hand-0.log")).read_text()
    assert said.count("it listens anew") >= 1


def test_a_worker_takes_json_alone_and_knows_one_task_of_ours() -> None:
    app = make_app("redis://127.0.0.1:1/0")
    assert app.conf.accept_content == ["json"]
    assert (app.conf.task_serializer, app.conf.event_serializer, app.conf.result_backend) == (
        "json",
        "json",
        None,
    )
    assert [name for name in app.tasks if not name.startswith("celery.")] == []
