"""Promises of completion: what may come next, out of the store's file, without loading anything heavy."""

import json
import subprocess
import sys
from operator import methodcaller
from pathlib import Path

import pytest

from ad_cli import tree
from ad_cli.completion import shells
from ad_cli.completion.elsewhere import Elsewhere
from ad_cli.completion.table import source_of
from ad_cli.completion.words import offers
from ad_cli.main import app
from ad_platform import settings as environment
from ad_platform.store.glance import glance
from ad_platform.sweeps.methods import PRUNERS, SAMPLERS
from ad_platform.sweeps.objectives import METRICS
from clientkit import ENTRY
from mistakes import CANCELLED, EVALUATION, FAILED, QUEUED, RUNNING, TRAINED, TRAINED_TOO, TRIALS, Desk

ROOT = tree.read(app)
SETTINGS = [*ENTRY["schema"]["properties"]]
SWEEPS = ["held", "gone", "two", "night"]
VALIDATION = [name for name in METRICS if name.startswith("validation/")]
NEWEST_FIRST = [QUEUED, RUNNING, CANCELLED, FAILED, TRAINED_TOO, EVALUATION, TRAINED]


@pytest.fixture
def offered(place: Desk):
    """Gives what may come next in a call."""

    def ask(line: str) -> list[str]:
        typed, incomplete = shells._split(f"adctl {line}")
        return [one.text for one in offers(ROOT, typed, incomplete)]

    return ask


TABLE = [
    ("sub", ["submit"]),
    ("submit ", ["train", "evaluate", "sweep", "benchmark"]),
    ("list --sta", ["--state"]),
    ("list --state ", ["waiting", "queued", "running", "succeeded", "failed", "cancelled"]),
    ("list --state=r", ["--state=running"]),
    ("list --state running --state q", ["queued"]),
    ("list --kind e", ["evaluate"]),
    ("show ", ["@last", *NEWEST_FIRST, *SWEEPS, "tables"]),
    ("why ni", ["night"]),
    ("cancel night ", ["@last", *NEWEST_FIRST, *SWEEPS[:-1], "tables"]),
    ("benchmark show ", ["@last", "tables"]),
    ("leaderboard ta", ["tables"]),
    ("leaderboard --format ", ["table", "csv", "md", "latex"]),
    ("submit benchmark -m x,to", ["x,toy"]),
    ("submit benchmark -c x,sc", ["x,screw"]),
    ("logs ", ["@last", *NEWEST_FIRST]),
    ("show 7777", [*TRIALS[::-1]]),
    ("sweep show ", ["@last", *SWEEPS]),
    ("sweep trials n", ["night"]),
    ("sweep list --state p", ["paused"]),
    ("sweep trials night --state ", ["running", "complete", "pruned", "failed"]),
    ("sweep trials night --sort va", ["value", *VALIDATION]),
    ("submit sweep --warm-start ", ["@last", *SWEEPS]),
    ("submit sweep -m toy --param ", [f"{name}=" for name in SETTINGS]),
    ("submit sweep -m toy -P lr=", ["lr=1e-05:0.1:log"]),
    ("submit sweep -m toy --param mode=", ["mode=mean,median"]),
    ("submit sweep -m toy --param backbone=", []),
    ("submit sweep --objective lat", ["latency_ms"]),
    ("submit sweep --objective VAL", [*VALIDATION]),
    ("submit sweep --sampler ", [*SAMPLERS]),
    ("submit sweep --pruner ", [*PRUNERS]),
    ("show aaaa", [TRAINED_TOO, TRAINED]),
    ("show @", ["@last"]),
    (f"show {TRAINED} ", []),
    (f"cancel {QUEUED} b", []),
    (f"cancel {QUEUED} d", [RUNNING]),
    ("submit train -m to", ["toy"]),
    ("submit train --model=to", ["--model=toy"]),
    ("submit train -m toy -S ", [f"{name}=" for name in SETTINGS]),
    ("submit train -m toy -S l", ["lr=", "layers="]),
    ("submit train -m toy -S mode=", ["mode=mean", "mode=median"]),
    ("submit train -m toy -S lr=", ["lr=0.01", "lr=0.001"]),
    ("submit train -m toy -S flip=", ["flip=true", "flip=false"]),
    ("submit train -m toy -S clip=", ["clip=none"]),
    ("submit train --from aaaa -S im", ["image_size="]),
    ("submit train -m toy --preset ", ["large", "paper", "tiny"]),
    ("submit train --dataset ", ["parts"]),
    ("submit train -d parts -c ", ["screw"]),
    ("submit train -d other -c ", []),
    ("submit train --device c", ["cpu", "cuda"]),
    ("list --user ", ["kim"]),
    ("list --queue ", ["default", "elsewhere"]),
    ("worker drain ", ["w1"]),
    ("detectors show to", ["toy"]),
    ("logs --tail ", []),
    ("submit train --data ", []),
    ("nonsense ", [*ROOT.below]),
    ("show -- --", []),
    ("list '--sta", ["--state"]),
]


@pytest.mark.parametrize(("line", "wanted"), TABLE, ids=[line for line, _ in TABLE])
def test_what_may_come_next_is_offered(line: str, wanted: list[str], offered) -> None:
    assert offered(line) == wanted


def test_an_option_given_once_is_not_offered_again(offered) -> None:
    assert "--seed" in offered("submit train --")
    assert "--seed" not in offered("submit train --seed 3 --")
    assert "--set" in offered("submit train -S lr=1 --")


@pytest.mark.parametrize(
    ("command", "parameter"),
    [
        (command, parameter)
        for command in ROOT.walk()
        for parameter in command.parameters
        if "JOB" in parameter.metavar or parameter.metavar in ("WORKER", "MODEL", "SWEEP")
    ],
    ids=lambda one: getattr(one, "words", "") or getattr(one, "python_name", ""),
)
def test_whatever_names_a_job_a_worker_or_a_model_is_completed(command, parameter) -> None:
    assert source_of(command, parameter) is not None


def test_the_file_and_the_client_name_the_same(place: Desk) -> None:
    settings = environment.load({"ADCTL_HOME": str(place.home)})
    file, client = glance(settings.database_url), Elsewhere(settings)

    assert file is not None
    for what in ("jobs", "sweeps", "categories", "workers", "models", "catalogue"):
        told = methodcaller(what)(client)  # first, since it also takes note of workers that are gone
        assert methodcaller(what)(file) == told, what
    assert file.detector_of("") == client.detector_of("") == "toy"
    assert [one.name for one in file.jobs()] == NEWEST_FIRST
    assert file.users() == client.users() == ["kim"]
    assert set(client.queues()) <= set(file.queues())


@pytest.mark.parametrize("trouble", ["no home", "rubbish", "no tables", "a newer store"])
def test_a_store_that_cannot_be_read_offers_nothing(trouble: str, place: Desk, offered) -> None:
    store = place.home / "store.db"
    if trouble == "rubbish":
        store.write_bytes(b"no database " * 100)
    elif trouble == "no tables":
        store.write_bytes(b"")
    else:
        store.unlink()

    assert offered("show ") == []
    assert offered("list --state f") == ["failed"]
    assert not list(place.home.glob("store.db-*"))


def answered(shell: str, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"_ADCTL_COMPLETE": shell, "_ADCTL_LINE": line, "PATH": "/usr/bin:/bin", **more}
    environment["PYTHONPATH"] = ":".join(sys.path)
    command = [sys.executable, "-m", "ad_cli"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("shell", ["bash", "no such shell"])
def test_nothing_is_ever_said_to_a_person_who_types(shell: str, tmp_path: Path) -> None:
    nowhere = {"ADCTL_DATABASE_URL": "postgresql://u@127.0.0.1:9/x", "ADCTL_LEASE": "soon"}
    called = answered(shell, "adctl show ", HOME=str(tmp_path), **nowhere)

    assert (called.returncode, called.stdout, called.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_completion_loads_nothing_heavy(place: Desk) -> None:
    heavy = ["torch", "mlflow", "celery", "sqlalchemy", "alembic", "pydantic", "jsonschema", "rich", "fsspec"]
    script = (
        "import json, sys\n"
        "from ad_cli import tree\n"
        "from ad_cli.main import app\n"
        "from ad_cli.completion.shells import _lines\n"
        "env = {'_ADCTL_COMPLETE': 'zsh', '_ADCTL_LINE': 'adctl submit train --from aaaa -S '}\n"
        "lines = _lines(tree.read(app), env)\n"
        f"print(json.dumps([len(lines), [name for name in {heavy!r} if name in sys.modules]]))"
    )
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert json.loads(called.stdout) == [7, []]


def test_descriptions_are_shown_where_a_shell_shows_them() -> None:
    one = offers(ROOT, [], "subm")[0]

    assert shells.bash_line(one, "") == "submit"
    assert shells.zsh_line(one, "").startswith("submit:Ask for work")
    assert shells.fish_line(one, "").startswith("submit\tAsk for work")


@pytest.mark.parametrize("name", [*shells.SHELLS])
def test_installing_twice_is_installing_once(name: str, tmp_path: Path) -> None:
    for rc in (".bashrc", ".zshrc"):
        (tmp_path / rc).write_text("alias ll='ls -l'")
    first = shells.install(name, tmp_path)
    once = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    shells.install(name, tmp_path)

    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == once
    assert first.read_text() == shells.script(name)
    assert (tmp_path / ".bashrc").read_text().startswith("alias ll='ls -l'")
