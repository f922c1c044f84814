"""Mistakes that only a process can make: no rights, no room, nobody who listens, a reader that has left."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mistakes import QUEUED, TRAINED, m, problems, state_of

# A full disk of one's own: a small file system that only this command and its children see.
FULL = """
disk=$1; from=$2; after=$3; shift 3
mount -t tmpfs -o size=1500k none "$disk" || exit 99
cp -a "$from/." "$disk"
dd if=/dev/zero of="$disk/filler" bs=4k 2>/dev/null
"$@"; code=$?
rm -f "$disk/filler"; cp -a "$disk/." "$after"
exit $code
"""

NO_RIGHTS = [
    m("list", 4, "store.db", "{home}"),
    m("submit train -m toy --data {screw}", 4, "{home}"),
    m("db upgrade", 4, "{home}"),
    m("predict {job} {screw}/test/good", 4, "{home}"),
    m("worker start", 4, "{home}"),
    m("quickstart", 4, "{home}"),
    m("up", 4, "{home}"),
]
READ_ONLY = [
    m("cancel {queued}", 4, "store.db"),
    m("submit train -m toy --data {screw} --no-evaluate", 4, "store.db"),
    m("promote {job} --force --reason tried", 4, "store.db"),
    m("up", 4, "{home}"),
    m("quickstart", 4, "{home}"),
    m("data synth {home}/drawn/screw --train 1 --test-good 0 --per-defect 0", 4, "drawn", "ermission denied"),
]
NO_ROOM = [
    m("list", 7, "no room", "store.db"),
    m("cancel {queued}", 7, "no room", "store.db"),
    m("submit train -m toy --data {screw} --no-evaluate", 7, "no room", "store.db"),
    m("data synth {disk}/drawn/screw", 7, "No space left"),
    m("up", 7, "no room"),
    m("quickstart", 7, "no room"),
]


def checked(person, row, called: subprocess.CompletedProcess[str]) -> None:
    says = tuple(word.format_map(person.desk.places) for word in row.says)
    found = problems(m(row.call, row.code, *says), called.returncode, called.stdout, called.stderr)
    assert not found, (found, called.stderr)


@pytest.mark.parametrize("row", NO_RIGHTS, ids=lambda row: row.call)
def test_a_home_of_somebody_else_is_named_and_left_alone(row, person, rightless: Sequence[str]) -> None:
    before = state_of(person.desk)
    person.desk.home.chmod(0)
    try:
        called = person.types(*row.argv(person.desk), before=rightless)
    finally:
        person.desk.home.chmod(0o700)

    checked(person, row, called)
    assert state_of(person.desk) == before


@pytest.mark.parametrize("row", READ_ONLY, ids=lambda row: row.call)
def test_what_may_only_be_read_is_not_changed(row, person, rightless: Sequence[str]) -> None:
    before = state_of(person.desk)
    (person.desk.home / "store.db").chmod(0o400)
    person.desk.home.chmod(0o500)
    try:
        called = person.types(*row.argv(person.desk), before=rightless)
    finally:
        person.desk.home.chmod(0o700)
        (person.desk.home / "store.db").chmod(0o600)

    checked(person, row, called)
    assert state_of(person.desk) == before


@pytest.mark.parametrize("row", NO_ROOM, ids=lambda row: row.call)
def test_a_full_disk_is_said_and_leaves_every_job_as_it_was(row, person, tmp_path: Path) -> None:
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    after.mkdir()
    before = ["unshare", "-r", "-m", "sh", "-c", FULL, "sh", str(disk), str(person.desk.home), str(after)]
    argv = [word.format(disk=disk, **person.desk.places) for word in row.call.split()]
    env = {**person.env, "ADCTL_HOME": str(disk)}
    try:
        called = person.types(*argv, before=before, env=env)
    except FileNotFoundError:
        pytest.skip("there is no unshare to make a small disk with")
    if called.returncode == 99 or "unshare" in called.stderr:
        pytest.skip(f"no small disk can be mounted here: {called.stderr.strip()}")

    checked(person, row, called)
    kept = type(person.desk)(after, person.desk.images)
    assert state_of(kept)[0] == state_of(person.desk)[0]
    assert not [path for path in (after / "drawn").rglob("*") if path.is_file()]


def test_a_full_disk_behind_stdout_is_said(person) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with Path("/dev/full").open("w") as full:
        called = person.types("list", capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert called.returncode == 7
    assert called.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in called.stderr


def test_a_closed_stdout_or_stderr_harms_nothing(person) -> None:
    before = state_of(person.desk)
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        shell = ("sh", "-c", f'exec "$@" {closed}', "sh")
        called = person.types("list", before=shell)

        assert called.returncode == 0, called.stderr
        assert "Traceback" not in called.stderr
    assert state_of(person.desk) == before


def test_a_reader_that_has_seen_enough_is_no_error(person) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        called = person.types("list", "--json", capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)

    assert (called.returncode, called.stderr) == (0, "")


def test_a_terminal_that_knows_no_such_signs_gets_others(person) -> None:
    env = {**person.env, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    called = person.types("list", "--user", "zoë", env=env)

    assert called.returncode == 0, called.stderr
    assert "Traceback" not in called.stderr


def test_bytes_that_are_no_text_are_named(person) -> None:
    called = person.types("list", "--user", os.fsdecode(b"caf\xe9"))

    assert (called.returncode, called.stdout) == (2, "")
    assert called.stderr == "error: argument 3 is not UTF-8: 'caf\\udce9'; type it again\n"


def test_cancelling_with_the_broker_away_needs_no_broker(person) -> None:
    env = {**person.env, "ADCTL_BROKER_URL": "redis://127.0.0.1:9/0"}
    called = person.types("cancel", QUEUED, env=env)

    assert called.returncode == 0, called.stderr
    assert "error:" not in called.stderr


def test_with_mlflow_away_jobs_are_submitted_and_promoted_and_its_pages_alone_are_missed(person) -> None:
    env = {**person.env, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    submitted = person.types(
        *("submit", "train", "-m", "toy", "--data", str(person.desk.images / "parts/screw"), "-q"), env=env
    )
    promoted = person.types(
        *("promote", TRAINED, "--force", "--reason", "tried", "--wait", "0", "-q"), env=env
    )
    shown = person.types("ui", "--no-browser", env=env)
    looked = person.types("doctor", env=env)

    for called in (submitted, promoted, shown):
        assert called.returncode == 0, called.stderr
        assert "error: " not in called.stderr
    assert "the decision stands, but MLflow's registry does not show it yet" in promoted.stderr
    assert (shown.stdout, shown.stderr.count("\n")) == ("http://127.0.0.1:9\n", 1)
    assert "MLFLOW_TRACKING_URI" in shown.stderr
    assert looked.returncode == 12
    assert "http://127.0.0.1:9 does not answer as MLflow does" in looked.stdout
    assert "Traceback" not in "".join(each.stderr for each in (submitted, promoted, shown, looked))


def test_without_services_the_pages_are_not_promised_at_the_port_they_had(person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        stack = person.desk.home / "stack"
        stack.mkdir()
        (stack / "state.json").write_text(json.dumps({"ui_port": somebody_else.getsockname()[1]}))
        called = person.types("ui")

    assert (called.returncode, called.stdout) == (4, "")
    assert called.stderr == "error: MLflow's pages do not run; start them: adctl up\n"
