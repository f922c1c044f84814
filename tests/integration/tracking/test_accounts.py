"""MLflow with accounts: they are made and renewed, and whoever has none, or a wrong one, is told so."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ad_platform.doctor.web import ask_mlflow
from ad_platform.errors import InvalidValue
from ad_platform.tracking import server
from mlflow_home import QUIET, mlflow_home

pytestmark = [pytest.mark.filterwarnings(one) for one in QUIET]
PASSWORDS = {"admin": "admin-of-the-tests", "worker": "worker-of-the-tests", "client": "client-of-the-tests"}
# As the shipper does: an experiment, a run, files in it, a model.
WORK = """
import sys, tempfile
from pathlib import Path
from ad_platform.tracking.mlflow import open_client, reaching
client = open_client(sys.argv[1])
with reaching(sys.argv[1]):
    if sys.argv[2] == "work":
        made = client.create_experiment("mvtec/bottle")
        run = client.create_run(made)
        file = Path(tempfile.mkdtemp()) / "note.txt"
        file.write_text("kept")
        client.log_artifact(run.info.run_id, str(file))
        client.create_registered_model("m")
    elif sys.argv[2] == "look":
        (found,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
        print(Path(client.download_artifacts(found.info.run_id, "note.txt")).read_text())
    else:
        (found,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
        client.set_tag(found.info.run_id, "mine", "yes")
"""


@dataclass(frozen=True)
class Served:
    """A server with accounts."""

    url: str
    log: Path

    def call(self, what: str, user: str = "", password: str = "") -> "subprocess.CompletedProcess[str]":
        named = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password} if user else {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", WORK, self.url, what],
            env={**kept, "PYTHONPATH": os.pathsep.join(sys.path), **named},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def status(self, path: str, user: str = "", password: str = "") -> int:
        request = urllib.request.Request(self.url + path)
        if user:
            request.add_header("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def environment(folder: Path, store: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "ADCTL_"))}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{store}",
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_DATABASE_URI": f"sqlite:///{folder}/accounts.db",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key-of-the-tests",
        **{server.PASSWORDS[user]: password for user, password in PASSWORDS.items()},
        **more,
    }


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    for part in ("mlflow", "flask_wtf"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    settings, _ = mlflow_home("accounts")
    port = services.free_port()
    with tempfile.TemporaryDirectory(prefix="adctl accounts ") as name:
        folder = Path(name)
        log = folder / "server.log"
        env = environment(folder, settings.home / "mlflow.db")
        command = [sys.executable, "-m", "ad_platform.tracking.server"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        made = Served(f"http://127.0.0.1:{port}", log)
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=env, cwd=folder, stdout=output, stderr=output)
        try:
            assert services.patient(lambda: answers(made), process), log.read_text()[-3000:]
            yield made
        finally:
            process.terminate()
            process.wait(30)


def answers(made: Served) -> bool:
    try:
        return made.status("/health") == 200
    except OSError:
        return False


@pytest.mark.slow
def test_a_worker_makes_runs_and_a_client_reads_them_and_changes_nothing(served: Served) -> None:
    done = served.call("work", "worker", PASSWORDS["worker"])
    assert done.returncode == 0, done.stderr[-2000:]
    seen = served.call("look", "client", PASSWORDS["client"])
    assert (seen.returncode, seen.stdout.strip()) == (0, "kept"), seen.stderr[-2000:]
    refused = served.call("change", "client", PASSWORDS["client"])
    assert "does not let the account 'client' do this" in refused.stderr, refused.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("", "", "wants an account: set MLFLOW_TRACKING_USERNAME and _PASSWORD"),
        ("worker", "wrong-password", "refuses the account 'worker': wrong MLFLOW_TRACKING_PASSWORD"),
        ("nobody", "wrong-password", "refuses the account 'nobody'"),
    ],
)
def test_who_is_not_let_in_is_told_why_without_the_password(
    served: Served, user: str, password: str, words: str
) -> None:
    done = served.call("look", user, password)
    last = done.stderr.strip().splitlines()[-1]
    assert words in last
    assert "TrackingDown" in last
    assert "wrong-password" not in done.stderr


@pytest.mark.slow
def test_the_doctor_knows_a_wrong_password_from_none(served: Served) -> None:
    account = {"MLFLOW_TRACKING_USERNAME": "worker", "MLFLOW_TRACKING_PASSWORD": PASSWORDS["worker"]}
    assert ask_mlflow(served.url, account).level == "ok"
    wrong = ask_mlflow(served.url, {**account, "MLFLOW_TRACKING_PASSWORD": "wrong"})
    assert "refuses the account 'worker'" in wrong.words
    assert "answers with 401" in ask_mlflow(served.url, {}).words


@pytest.mark.slow
def test_pages_ask_for_an_account_and_health_does_not(served: Served) -> None:
    assert served.status("/health") == 200
    assert served.status("/") == 401
    assert served.status("/", "client", PASSWORDS["client"]) == 200
    assert served.status("/api/2.0/mlflow/users/get?username=worker", "client", PASSWORDS["client"]) == 403
    told = served.log.read_text()
    assert not any(password in told for password in PASSWORDS.values())


@pytest.mark.slow
def test_a_password_that_is_set_anew_is_the_one_that_counts(tmp_path: Path) -> None:
    pytest.importorskip("flask_wtf")
    env = environment(tmp_path, tmp_path / "store.db")
    script = (
        "import os, json; from ad_platform.tracking import server; "
        "print(json.dumps(server.prepare_accounts(os.environ)))"
    )

    def prepare(**more: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            env={**env, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return list(json.loads(done.stdout.splitlines()[-1]))

    assert prepare() == ["admin", "worker", "client"]
    assert prepare(MLFLOW_AUTH_WORKER_PASSWORD="a-new-password") == ["worker"]


@pytest.mark.parametrize("name", ["MLFLOW_AUTH_CLIENT_PASSWORD", server.SECRET, server.DATABASE])
def test_a_server_without_what_it_needs_says_what(name: str, tmp_path: Path) -> None:
    env = environment(tmp_path, tmp_path / "store.db")
    del env[name]
    with pytest.raises(InvalidValue, match=name):
        server.check(env)
    with pytest.raises(InvalidValue, match="12 characters"):
        server.check({**env, name: "x", "MLFLOW_AUTH_ADMIN_PASSWORD": "short"})


def test_the_file_about_accounts_reads_back(tmp_path: Path) -> None:
    import configparser

    address = "postgresql+psycopg://mlflow:p@h/mlflow?options=-csearch_path%3Dauth"
    parser = configparser.ConfigParser()  # with interpolation, as MLflow reads it
    parser.read_string(server.config({server.DATABASE: address}))
    assert parser["mlflow"]["database_uri"] == address
