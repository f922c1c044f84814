"""compose.yaml's services, by their own command lines, bring a model from its images to a promotion."""

import json
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest
import yaml

import canaries
import services
from ad_cli.main import run
from ad_platform.doctor.web import ask_mlflow
from composed import PORTS, Composed, free_ports

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(700)]
SMALL = ("--train", "24", "--test-good", "4", "--per-defect", "1", "--size", "128", "--quiet")


@pytest.fixture(scope="module")
def stack() -> Iterator[Composed]:
    for part in ("torch", "mlflow", "optuna_dashboard", "flask_wtf", "flower"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    if shutil.which("redis-server") is None or shutil.which("psql") is None:
        services.unavailable("no redis-server or psql on the PATH")
    root = Path(tempfile.mkdtemp(prefix="adctl-compose-", dir="/tmp"))
    assert run(["cluster", "init", str(root / "cluster"), "--data", str(root / "images"), "--quiet"]) == 0
    images = str(root / "images" / "synth" / "screw")
    assert run(["data", "synth", images, *SMALL]) == 0
    free_ports(root / "cluster" / ".env")
    canaries.plant(root / "cluster")
    made = Composed(root / "cluster", root / "run")
    try:
        made.up("worker", "optuna-dashboard", "flower", "metrics")
        yield made
    finally:
        made.down()
        shutil.rmtree(root, ignore_errors=True)


def client(stack: Composed, *arguments: str, code: int = 0, **more: str) -> str:
    done = stack.run("client", *arguments, **more)
    assert done.returncode == code, f"{arguments}: {done.stderr}{stack.log('worker')}"
    return done.stdout + done.stderr if code else done.stdout


def ask(url: str, user: str = "", password: str = "") -> tuple[int, str]:
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_a_model_is_trained_evaluated_and_promoted(stack: Composed) -> None:
    data = str(Path(stack.env["DATA"]) / "synth" / "screw")
    said = client(stack, "submit", "train", "--model", "pixel_mean", "--data", data, "--json")
    train, evaluate = (job["id"] for job in json.loads(said)["jobs"])
    client(stack, "watch", evaluate, "--quiet")
    assert {json.loads(client(stack, "show", each, "--json"))["state"] for each in (train, evaluate)} == {
        "succeeded"
    }
    client(stack, "promote", train, "--force", "--reason", "to try the registry")
    champion = stack.env["MLFLOW_CLIENT_PASSWORD"]
    named = stack.address("mlflow") + "/api/2.0/mlflow/registered-models/alias?name={}&alias=champion"

    def published() -> bool:
        return ask(named.format("pixel_mean-synth-screw"), "client", champion)[0] == 200

    assert services.patient(published, stack.processes["worker"], 120), stack.log("worker")


def test_a_sweep_lies_in_optunas_own_database_and_on_its_pages(stack: Composed) -> None:
    data = str(Path(stack.env["DATA"]) / "synth" / "screw")
    client(
        stack,
        *("submit", "sweep", "--model", "pixel_mean", "--data", data),
        *("--trials", "2", "--name", "tried", "--wait"),
    )
    status, text = ask(stack.address("optuna-dashboard") + "/api/studies")
    assert status == 200
    assert [study["study_name"] for study in json.loads(text)["study_summaries"]] == ["tried"]
    found = stack.psql("-d", "adctl", "-Atc", "SELECT count(*) FROM pg_tables WHERE schemaname = 'optuna'")
    assert found.stdout.strip() == "0"


def test_health_checks_say_so_when_a_service_is_well(stack: Composed) -> None:
    for name in ("redis", "postgres", "mlflow", "optuna-dashboard", "flower", "metrics", "worker"):
        assert stack.healthy(name), name


def test_prometheus_is_led_to_the_figures_of_the_fleet_and_of_each_worker(stack: Composed) -> None:
    fleet, workers = yaml.safe_load(stack.file["configs"]["prometheus"]["content"])["scrape_configs"]
    assert fleet["static_configs"] == [{"targets": ["metrics:9464"]}]
    (found,) = workers["dns_sd_configs"]
    assert set(found["names"]) == {name for name in stack.services if name.startswith("worker")}
    assert found["port"] == PORTS["worker"]
    for name, says in (("metrics", "adctl_store_up 1.0"), ("worker", "adctl_slots 1.0")):
        status, text = ask(stack.address(name) + "/metrics")
        assert status == 200
        assert says in text


def test_grafana_is_given_the_dashboard_and_shows_what_prometheus_knows(stack: Composed) -> None:
    places = {each["target"]: each["source"] for each in stack.services["grafana"]["configs"]}
    told = {place: yaml.safe_load(stack.config(source).read_text()) for place, source in places.items()}
    (source,) = told["/etc/grafana/provisioning/datasources/prometheus.yml"]["datasources"]
    (provider,) = told["/etc/grafana/provisioning/dashboards/adctl.yml"]["providers"]
    board = told[f"{provider['options']['path']}/adctl.json"]
    texts = [ask(stack.address(name) + "/metrics")[1] for name in ("metrics", "worker")]
    known = set(re.findall(r"^(?:# TYPE )?(adctl_[a-z_]+)", "\n".join(texts), re.M))
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == source["uid"]
        for target in panel["targets"]:
            asked = set(re.findall(r"adctl_[a-z_]+", target["expr"]))
            assert asked <= known, panel["title"]


def test_pages_with_a_login_ask_for_it(stack: Composed) -> None:
    for name, user, secret in (
        ("mlflow", "client", "MLFLOW_CLIENT_PASSWORD"),
        ("flower", "flower", "FLOWER_PASSWORD"),
    ):
        assert ask(stack.address(name) + "/")[0] == 401
        assert ask(stack.address(name) + "/", user, "wrong-password")[0] == 401
        assert ask(stack.address(name) + "/", user, stack.env[secret])[0] == 200


def test_a_wrong_password_of_mlflow_is_told_and_ui_shows_no_account(stack: Composed) -> None:
    wrong = client(stack, "doctor", "--json", code=12, MLFLOW_TRACKING_PASSWORD="wrong-password")
    assert "refuses the account 'client'" in wrong
    account = stack.environment("client")
    assert ask_mlflow(account["MLFLOW_TRACKING_URI"], account).level == "ok"
    assert client(stack, "ui", "--no-browser").strip() == stack.address("mlflow")


def test_each_account_opens_its_own_database_alone(stack: Composed) -> None:
    secrets = {
        "adctl": "OWNER_DB_PASSWORD",
        "adctl_worker": "WORKER_DB_PASSWORD",
        "adctl_client": "CLIENT_DB_PASSWORD",
        "optuna": "OPTUNA_DB_PASSWORD",
        "mlflow": "MLFLOW_DB_PASSWORD",
    }
    port = stack.ports["postgres"]
    opened = {user: set[str]() for user in secrets}
    for user, secret in secrets.items():
        for database in ("adctl", "optuna", "mlflow"):
            try:
                psycopg.connect(
                    host="127.0.0.1", port=port, user=user, password=stack.env[secret], dbname=database
                ).close()
                opened[user].add(database)
            except psycopg.OperationalError:
                pass
    own = {user: {user.partition("_")[0]} for user in secrets}
    assert opened == own
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=port, user="adctl_client", password="x", dbname="adctl")


def test_a_client_of_the_cluster_cannot_do_a_workers_work(stack: Composed) -> None:
    assert "may not do this" in client(stack, "gc", code=2)


def test_redis_lets_nobody_in_without_its_password(stack: Composed) -> None:
    import redis

    with redis.Redis(port=stack.ports["redis"]) as bare, pytest.raises(redis.AuthenticationError):
        bare.ping()
    with redis.Redis(port=stack.ports["redis"], password=stack.env["REDIS_PASSWORD"]) as known:
        assert known.config_get("appendonly", "maxmemory-policy") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }


def test_no_secret_is_in_what_the_cluster_writes_holds_or_says(stack: Composed) -> None:
    """After all that the tests above have done, and a job that crashes."""
    secrets, category = canaries.planted(stack), Path(stack.env["DATA"]) / "synth" / "screw"
    assert len(secrets) > 15
    broken = category.with_name("broken")
    (broken / "train" / "good").mkdir(parents=True)
    for picture in sorted((category / "train" / "good").iterdir())[:4]:
        content = picture.read_bytes()
        (broken / "train" / "good" / picture.name).write_bytes(content[: len(content) // 2])
    crashed = client(
        stack, "submit", "train", "--model", "pixel_mean", "--data", str(broken), "--quiet", "--wait", code=10
    ).split()[0]
    assert "Traceback" in client(stack, "logs", crashed)
    said = {
        " ".join(call): client(stack, *call, ADCTL_DEBUG="1")
        for call in (
            *(
                ("config",),
                ("config", "--json"),
                ("status", "--json"),
                ("list", "--json"),
                ("metrics", "--once"),
            ),
            *(("show", crashed, "--json"), ("why", crashed), ("logs", crashed), ("worker", "list", "--json")),
        )
    }
    said["doctor"] = client(stack, "doctor", "--json", code=12, MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    said["metrics"] = ask(stack.address("metrics") + "/metrics")[1]
    written = {**dict(canaries.texts(stack)), **{name: words.encode() for name, words in said.items()}}
    for needed in (
        "worker.log",
        "the database mlflow",
        "volumes/storage/",
        "volumes/artifacts/",
        "the broker's",
    ):
        assert any(place.startswith(needed) and written[place] for place in written), needed
    assert b'"logger"' in written["worker.log"]  # as JSON
    assert {place: found for place in written if (found := canaries.heard(written[place], secrets))} == {}


def test_no_process_leaves_its_memory_and_none_that_runs_a_detector_knows_an_account(stack: Composed) -> None:
    secrets = canaries.planted(stack)
    ours = canaries.family(stack)
    python = [one for one in ours if "python" in one.cmdline()[0] and "flower" not in one.cmdline()]
    worker = {one.pid for one in psutil.Process(stack.processes["worker"].pid).children(recursive=True)}
    assert all(one.rlimit(psutil.RLIMIT_CORE)[0] == 0 for one in python if one.pid in worker)
    zygotes = [one for one in ours if "ad_workers.zygote" in one.cmdline()]
    assert zygotes
    for zygote in zygotes:
        known = "\0".join(zygote.environ().values())
        needed = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")
        assert {name for name, value in secrets.items() if value in known} == {*needed}


def test_migrating_and_making_databases_again_does_no_harm(stack: Composed) -> None:
    del stack.processes["migrate"]
    stack.up("migrate")
    stack._init_databases()
    assert client(stack, "list", "--quiet")
