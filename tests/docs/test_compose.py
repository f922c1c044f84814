"""compose.yaml is valid, asks for every secret, and shows nothing to the network."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_compose_is_valid_by_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_published_beyond_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"mlflow", "optuna-dashboard"}, "only what a person opens in a browser"
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not any("network_mode" in service for service in services.values())


def test_every_variable_is_in_the_example_and_every_secret_is_demanded() -> None:
    text = COMPOSE.read_text()
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    used = dict(re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text))
    assert set(used) == example
    for name, rest in re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text):
        assert ":?" in rest or not name.endswith("PASSWORD"), f"{name} must be demanded wherever it is used"
    assert not re.search(r"^[A-Z_]*PASSWORD=.", (ROOT / ".env.example").read_text(), re.M)


def test_images_of_others_are_pinned(services: dict[str, Any]) -> None:
    images = [service["image"] for service in services.values() if "build" not in service]
    bases = re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert images
    assert bases
    for image in [*images, *bases]:
        assert re.search(r":\d+\.\d+(\.\d+)?(-|$)", image), image


def test_dependencies_are_waited_for_by_their_health(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for the health of {needed}"
    assert services["worker"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_images_are_built_by_a_target_that_exists_and_run_without_root(services: dict[str, Any]) -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
    final = {stage.split()[2]: stage for stage in stages if " AS " in stage.splitlines()[0]}
    for service in services.values():
        if "build" in service:
            assert "USER adctl" in final[service["build"]["target"]].splitlines()


def test_a_stopping_worker_has_longer_than_its_grace(services: dict[str, Any]) -> None:
    from ad_platform.settings import load

    allowed = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert allowed >= load({"ADCTL_HOME": "/tmp/unused"}).grace + 15


def test_the_addresses_are_ones_adctl_understands(services: dict[str, Any]) -> None:
    from ad_platform.settings import Settings, load

    environment = services["worker"]["environment"]
    settings: Settings = load(environment)
    assert not settings.embedded
    assert settings.storage_url == "/storage"
    assert services["optuna-dashboard"]["environment"] == environment
    mounted = {mount.removesuffix(":ro").rsplit(":", 1)[1] for mount in services["worker"]["volumes"]}
    assert mounted == {settings.storage_url, str(settings.data_root)}
