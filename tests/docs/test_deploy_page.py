"""What docs/deploy.md prints beside commands can be used as it stands; the commands are typed elsewhere."""

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from ad_cli import tree
from ad_cli.main import app
from ad_migrations.roles import Side
from ad_platform import settings as environment
from ad_platform.cluster import dotenv, recipes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
PROMPT = re.compile(r"(worker# |client\$ |\$ )")  # on a host that computes, on a person's, on the first one
KINDS = {"console", "yaml", "ini", "sh"}


def blocks(kind: str) -> list[str]:
    return [text for each, text in BLOCKS if each == kind]


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert {kind for kind, _ in BLOCKS} == KINDS
    assert all(PROMPT.match(line) for text in blocks("console") for line in text.splitlines())


def test_the_override_publishes_store_and_broker_and_is_valid(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    override = yaml.safe_load(text)["services"]
    assert set(override) == {"postgres", "redis"}
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for name, more in override.items():
        assert "ports" not in compose["services"][name]
        compose["services"][name] |= more
        assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in more["ports"])
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(compose))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(tmp_path / "whole.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_unit_is_that_of_the_page_about_workers() -> None:
    (text,) = blocks("ini")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    other = configparser.ConfigParser(interpolation=None)
    other.optionxform = str  # type: ignore[assignment,method-assign]
    page = (ROOT / "docs" / "workers.md").read_text()
    other.read_string(re.findall(r"```ini\n(.*?)```", page, flags=re.S)[0])
    assert set(unit["Service"]) == set(other["Service"])
    for name in set(unit["Service"]) - {"Environment"}:
        assert unit["Service"][name] == other["Service"][name]


def test_the_settings_for_more_hosts_are_those_of_the_example() -> None:
    settings = dotenv.parse(blocks("sh")[0])
    assert set(settings) <= set(dotenv.parse((recipes.source() / recipes.EXAMPLE).read_text()))
    assert len(set(settings.values())) == 1


def test_the_settings_of_an_s3_storage_are_read() -> None:
    _, settings, keys = (dotenv.parse(text) for text in blocks("sh"))
    example = dotenv.parse((recipes.source() / recipes.EXAMPLE).read_text())
    assert set(settings) <= set(example)
    url = environment.load(
        {"ADCTL_STORAGE_URL": settings["STORAGE_URL"], "ADCTL_STORAGE_OPTIONS": settings["STORAGE_OPTIONS"]}
    ).storage_url
    assert url.startswith("s3://bucket/adctl?endpoint_url=")
    assert json.loads(settings["STORAGE_OPTIONS"])["endpoint_url"] == keys["AWS_ENDPOINT_URL"]


def test_commands_of_adctl_exist_and_accounts_are_those_of_the_program() -> None:
    known = {command.words for command in tree.read(app).walk()}
    for line in (line for text in blocks("console") for line in text.splitlines()):
        match = re.search(r"(?:^(?:client)?\$ adctl|run --rm client) ((?:[a-z]+ ?)+)", line)
        if match:
            words = match[1].split()
            assert any(" ".join(["adctl", *words[:n]]) in known for n in (1, 2)), line
    accounts = re.findall(r"^\| `(adctl_\w+)` \|", PAGE, re.M)
    assert accounts == [f"adctl_{side}" for side in Side]
