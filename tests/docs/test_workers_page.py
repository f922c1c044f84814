"""What the page about workers as services says can be used as it stands."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ad_cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "workers.md").read_text()
SPARE = 10  # seconds that a keeper waits beyond the grace


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)
    return str(found)


def starts_a_worker(arguments: list[str]) -> None:
    assert arguments[:2] == ["worker", "start"]
    said = CliRunner().invoke(app, ["worker", "start", "--help"]).output
    assert all(option in said for option in arguments[2:] if option.startswith("--"))


def test_the_unit_waits_for_the_grace_and_tells_the_worker_alone():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini"))
    service = unit["Service"]
    settings = dict(pair.split("=") for pair in service["Environment"].split())
    assert int(service["TimeoutStopSec"]) == int(settings["ADCTL_GRACE"]) + SPARE
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.endswith("/adctl")
    starts_a_worker(arguments)


def test_the_deployment_waits_for_the_grace():
    pod = yaml.safe_load(block("yaml"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    settings = {one["name"]: one.get("value") for one in container["env"]}
    assert pod["terminationGracePeriodSeconds"] == int(settings["ADCTL_GRACE"]) + SPARE
    starts_a_worker(container["args"])
    assert "adctl worker list --quiet" in container["readinessProbe"]["exec"]["command"][-1]


@pytest.mark.parametrize(("grace", "told"), [(30.0, 21), (10.0, 6)])
def test_the_time_for_a_checkpoint_is_the_one_that_is_told(grace: float, told: int):
    pytest.importorskip("celery")
    from ad_workers.main import checkpoint_within

    assert checkpoint_within(grace) == told
    assert f"of {grace:g}: {told}" in PAGE
