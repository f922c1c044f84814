"""A secret that somebody planted in an address or a variable is in nothing that is said, logged or stored."""

import json
import logging
import resource
import socket
import sys
from pathlib import Path

import pytest

from ad_cli import out
from ad_cli.main import run
from ad_migrations import upgrade
from ad_platform import cores, structured_logs
from ad_platform.addresses import shown
from ad_platform.redaction import Redactor
from ad_workers import child
from ad_workers import messages as say
from ad_workers.boottime import boottime
from ad_workers.link import Link
from ad_workers.nursery import for_children

CANARY = "Canary7f3aSecret"
PIECE = CANARY[:8]
# As people have passwords, and leave them as they are in an address.
PASSWORDS = [CANARY, *(f"{CANARY}{letter}tail" for letter in "/#@?: []%"), f"x/{CANARY}", f"p@{CANARY}/#?x"]
OPTIONS = {"key": "ABCDEFGH", "secret": CANARY, "client_kwargs": {"aws_session_token": f"{CANARY}-2"}}
PLANTED = {
    "ADCTL_DATABASE_URL": f"postgresql://client:{CANARY}-1@db/adctl",
    "ADCTL_BROKER_URL": f"redis://:{CANARY}%2F2@redis:6379/0",
    "ADCTL_STORAGE_OPTIONS": json.dumps(OPTIONS),
    "MLFLOW_TRACKING_PASSWORD": f"{CANARY}-3",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-4",
    "HF_TOKEN": f"{CANARY}-5",
    "SOMEBODYS_API_KEY": f"{CANARY}-6",
    "STORE": f"s3://bucket/x?endpoint_url=http://minio:9000&secret={CANARY}-7",
    "PROXIED": f"s3://bucket/x?endpoint_url=http://kim:{CANARY}-8@minio:9000",
    "PGPASSFILE": "/home/kim/.pgpass",
    "SHORT_PASSWORD": "abc",
}


@pytest.mark.parametrize("password", PASSWORDS)
def test_an_address_is_shown_without_its_password_however_it_is_written(password: str) -> None:
    for scheme in ("postgresql", "redis", "s3", "http"):
        told = shown(f"{scheme}://user:{password}@host.example:5432/place")
        assert PIECE not in told
        assert told.startswith(f"{scheme}://")


@pytest.mark.parametrize(
    "address",
    [
        "redis://host:6379/0",
        "postgresql://kim@host/name?application_name=a@b",
        "s3://bucket/some@place/x",
        "http://[::1]:5000/x",
        "redis+socket:///tmp/broker.sock",
    ],
)
def test_an_address_without_a_password_is_shown_as_it_is(address: str) -> None:
    assert shown(address) == address


def test_every_planted_secret_is_taken_out_of_a_text_and_the_rest_stays() -> None:
    redacted = Redactor(PLANTED)
    said = redacted("\n".join([*PLANTED.values(), f"as it is: {CANARY}/2", "abc /home/kim/.pgpass redis"]))
    assert PIECE not in said
    assert said.endswith("as it is: ***\nabc /home/kim/.pgpass redis")
    assert "postgresql://client:***@db/adctl" in said


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_holds_no_secret_of_its_process(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    log, root = logging.getLogger("ad_platform.a_test"), logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    monkeypatch.setattr(logging, "captureWarnings", lambda capture: None)
    try:
        structured_logs.configure("%(levelname)s %(message)s", logging.INFO, {"ADCTL_LOG": form})
        try:
            raise ConnectionError(f"cannot log in at {PLANTED['ADCTL_DATABASE_URL']}")
        except ConnectionError as error:
            log.exception("failed: %s %r", error, {"password": f"{CANARY}-3"})
    finally:
        root.handlers, root.level = before, level
    said = capsys.readouterr().err
    assert "ConnectionError" in said
    assert "Traceback" in said
    assert PIECE not in said


def test_what_is_said_to_a_person_holds_none_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", CANARY)
    out.reset()
    for say_it in (out.note, out.warn, out.error):
        say_it(f"it was {CANARY}")
    assert capsys.readouterr().err.count("it was ***") == 3


CALLS = [
    ("list", "ADCTL_DATABASE_URL", "postgresql"),
    ("status", "ADCTL_BROKER_URL", "redis"),
    ("gc", "ADCTL_STORAGE_URL", "s3"),
    ("config", "ADCTL_DATABASE_URL", "postgresql"),
    ("doctor", "MLFLOW_TRACKING_URI", "http"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    upgrade(f"sqlite:///{folder / 'store.db'}")
    return folder


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
@pytest.mark.parametrize("debug", ["", "1"])
def test_a_command_that_fails_says_no_password_even_with_its_traceback(
    home: Path,
    call: tuple[str, str, str],
    debug: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also one that somebody typed as it is, where libraries say which part of the address they dislike."""
    command, variable, scheme = call
    monkeypatch.setenv("ADCTL_HOME", str(home))
    monkeypatch.setenv("ADCTL_DEBUG", debug)
    for password in PASSWORDS if command != "doctor" else PASSWORDS[:2]:
        monkeypatch.setenv(variable, f"{scheme}://user:{password}@127.0.0.1:1/x")
        run([command])
        said = "".join(capsys.readouterr())
        assert said
        assert PIECE not in said, password


def test_a_child_that_fails_tells_neither_the_store_nor_its_log_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(assignment: say.Assignment, link: Link) -> None:
        raise OSError(f"403 from {assignment.storage_url}, signed with {CANARY}-4")

    monkeypatch.setattr(child, "_run", fails)
    monkeypatch.setattr(child, "enter_child", lambda: None)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{CANARY}-4")
    ours, theirs = socket.socketpair()
    link = Link(ours)
    child.main(say.encode(assignment(f"s3://b/x?secret={CANARY}")).decode(), theirs)
    (failed,) = link.receive(1.0)
    link.close()
    theirs.close()
    assert isinstance(failed, say.Failed)
    told = capsys.readouterr()
    assert "403 from s3://b/x?secret=***, signed with ***" in failed.error
    assert "Traceback" in told.err
    assert PIECE not in failed.error + told.err + told.out


def assignment(storage_url: str) -> say.Assignment:
    return say.Assignment(
        job_id="j",
        attempt=1,
        kind="train",
        spec={},
        data="",
        storage_url=storage_url,
        scratch="",
        cache="",
        fingerprints="",
        weights=None,
        lineage=(),
        source=None,
        threads=1,
        devices=(),
        deadline=boottime() + 60,
    )


def test_a_childs_environment_has_what_the_storage_needs_and_no_other_account() -> None:
    kept = for_children({**PLANTED, "PATH": "/bin", "ADCTL_WEIGHTS": "/w", "MLFLOW_TRACKING_URI": "http://x"})
    assert sorted(kept) == sorted(
        [
            *("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "SOMEBODYS_API_KEY", "STORE", "PROXIED", "SHORT_PASSWORD"),
            *("PATH", "ADCTL_WEIGHTS"),
        ]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_no_core_file_is_left_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    set_: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (7, 9))
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: set_.append((what, limits)))
    monkeypatch.setenv("ADCTL_DEBUG", "1")
    cores.leave_none()
    assert set_ == []
    monkeypatch.delenv("ADCTL_DEBUG")
    cores.leave_none()
    assert set_ == [(resource.RLIMIT_CORE, (0, 9))]
