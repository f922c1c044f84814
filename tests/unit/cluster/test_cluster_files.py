"""A cluster's files: secrets are fresh, private and never printed; nothing is overwritten unasked."""

import json
import os
import re
import threading
from pathlib import Path

import pytest

from ad_cli.main import run
from ad_migrations.moving import places
from ad_platform import settings as environment
from ad_platform.cluster import dotenv, hosts, recipes
from ad_platform.errors import Conflict, InvalidValue

EXAMPLE = "# says\nCOMPOSE_PROFILES=cpu\nDATA=./data\nA_PASSWORD=\nB_PASSWORD=\n"


def secrets_of(folder: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv.read(folder).items() if dotenv.is_secret(name)}


def test_init_makes_a_private_file_with_a_fresh_secret_for_every_variable(tmp_path: Path, capsys) -> None:
    previous = os.umask(0)
    try:
        assert run(["cluster", "init", str(tmp_path / "a")]) == 0
        assert run(["cluster", "init", str(tmp_path / "b")]) == 0
    finally:
        os.umask(previous)
    said = capsys.readouterr()
    found = [secrets_of(tmp_path / name) for name in ("a", "b")]
    names = set(re.findall(r"\$\{([A-Z_]+_PASSWORD)", (tmp_path / "a" / "compose.yaml").read_text()))
    values = [value for each in found for value in each.values()]
    assert set(found[0]) == names
    assert len(set(values)) == len(values) == 2 * len(names)
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in values)
    assert (tmp_path / "a" / ".env").stat().st_mode & 0o777 == 0o600
    assert not any(value in said.out + said.err for value in values)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_file_that_is_there_stays_unless_told_and_then_keeps_its_secrets(tmp_path: Path, capsys) -> None:
    assert run(["cluster", "init", str(tmp_path), "--host", "lab", "--gpu", "--json"]) == 0
    first = (tmp_path / ".env").read_text()
    assert run(["cluster", "init", str(tmp_path)]) == 3
    assert "--force keeps its secrets" in capsys.readouterr().err
    assert (tmp_path / ".env").read_text() == first

    (tmp_path / ".env").write_text(re.sub("GRAFANA_PASSWORD=.*\n", "", first) + "MINE=yes\n")
    assert run(["cluster", "init", str(tmp_path), "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    again = dotenv.read(tmp_path)
    before = dotenv.parse(first)
    assert told["fresh"] == ["GRAFANA_PASSWORD"]
    assert {name for name in again if again[name] != before.get(name)} == {"GRAFANA_PASSWORD", "MINE"}
    assert (again["PUBLIC_HOST"], again["COMPOSE_PROFILES"], again["MINE"]) == ("lab", "gpu", "yes")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600

    kept = secrets_of(tmp_path)
    assert run(["cluster", "init", str(tmp_path), "--rotate"]) == 0
    assert not set(kept.values()) & set(secrets_of(tmp_path).values())
    assert dotenv.read(tmp_path)["PUBLIC_HOST"] == "lab"


def test_of_two_that_begin_at_once_one_is_told(tmp_path: Path) -> None:
    ended: list[str] = []

    def begin(text: str) -> None:
        try:
            dotenv.write_private(tmp_path / ".env", text, replace=False)
            ended.append(text)
        except Conflict:
            pass

    threads = [threading.Thread(target=begin, args=(f"A={n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / ".env").read_text()] == ended


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / ".env").symlink_to(tmp_path / "other")
    with pytest.raises(Conflict):
        dotenv.write_private(tmp_path / ".env", "x", replace=False)
    dotenv.write_private(tmp_path / ".env", "x", replace=True)
    assert (tmp_path / "other").read_text() == "precious"
    assert not (tmp_path / ".env").is_symlink()


def test_values_are_chosen_known_or_the_examples() -> None:
    filled = dotenv.fill(EXAMPLE, {"A_PASSWORD": "old", "DATA": "/d"}, {"DATA": "/e"}, rotate=False)
    known = dotenv.parse(filled.text)
    assert (known["A_PASSWORD"], known["DATA"], known["COMPOSE_PROFILES"]) == ("old", "/e", "cpu")
    assert (filled.fresh, filled.kept) == (("B_PASSWORD",), ("A_PASSWORD",))
    assert filled.text.startswith("# says\n")


def test_files_that_differ_are_left_and_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "compose.yaml").write_text("name: mine\n")
    assert run(["cluster", "init", str(tmp_path)]) == 0
    assert "left as they are" in capsys.readouterr().err
    assert (tmp_path / "compose.yaml").read_text() == "name: mine\n"
    assert set(recipes.write(tmp_path).other) == {"compose.yaml"}


def test_other_hosts_get_what_their_side_needs_and_no_more(tmp_path: Path, capsys) -> None:
    assert run(["cluster", "init", str(tmp_path)]) == 0
    assert run(["cluster", "env", str(tmp_path), "--host", "10.0.0.7", "--quiet"]) == 0
    said = capsys.readouterr()
    known = secrets_of(tmp_path)
    assert not any(value in said.out + said.err for value in known.values())
    texts = {side: (tmp_path / side).read_text() for side in hosts.SIDES}
    for side, text in texts.items():
        assert (tmp_path / side).stat().st_mode & 0o777 == 0o600
        settings = environment.load(dotenv.parse(text))
        assert "@10.0.0.7:5432/adctl" in settings.database_url
        assert bool(settings.optuna_url) == (side == hosts.WORKER)
    held = {side: {name for name, value in known.items() if value in text} for side, text in texts.items()}
    assert held[hosts.CLIENT] == {"CLIENT_DB_PASSWORD", "REDIS_PASSWORD", "MLFLOW_CLIENT_PASSWORD"}
    assert held[hosts.WORKER] == {
        *("WORKER_DB_PASSWORD", "REDIS_PASSWORD", "MLFLOW_WORKER_PASSWORD", "OPTUNA_DB_PASSWORD")
    }
    assert not (tmp_path / hosts.OWNER).exists()


def test_who_moves_an_installation_gets_the_owners_accounts_when_they_are_asked_for(tmp_path: Path) -> None:
    assert run(["cluster", "init", str(tmp_path), "--quiet"]) == 0
    assert run(["cluster", "env", str(tmp_path), "--owner", "--quiet"]) == 0
    file, known = tmp_path / hosts.OWNER, secrets_of(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {name for name, value in known.items() if value in file.read_text()} == {
        *("OWNER_DB_PASSWORD", "REDIS_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "OPTUNA_DB_PASSWORD"),
        "MLFLOW_DB_PASSWORD",
    }
    target = places.read_target(file, environment.load({"ADCTL_HOME": str(tmp_path / "home")}))
    assert "postgresql://adctl:" in target.settings.database_url
    assert target.mlflow_database.startswith("postgresql://mlflow:")
    assert target.environ["MLFLOW_TRACKING_USERNAME"] == "admin"
    assert known["OWNER_DB_PASSWORD"] not in target.where


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["cluster", "env", "{empty}"], 2, "adctl cluster init"),
        (["cluster", "init", "{file}"], 2, "is a file"),
        (["cluster", "init", "{empty}", "--host", "http://x"], 2, "no name of a host"),
        (["cluster", "env", "{odd}"], 2, "REDIS_PASSWORD in"),
        (["cluster", "env", "{short}"], 2, "is missing from .env"),
    ],
)
def test_mistakes_are_told(arguments: list[str], code: int, words: str, tmp_path: Path, capsys) -> None:
    for name, text in (("odd", "REDIS_PASSWORD=a@b/c\n"), ("short", "REDIS_PASSWORD=abc\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".env").write_text(text)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    places = {name: str(tmp_path / name) for name in ("empty", "file", "odd", "short")}
    assert run([each.format(**places) for each in arguments]) == code
    told = capsys.readouterr().err
    assert words in told
    assert "a@b/c" not in told


def test_a_secret_that_would_break_an_address_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("X_PASSWORD=pa$$\n")
    with pytest.raises(InvalidValue, match="X_PASSWORD") as told:
        dotenv.read(tmp_path)
    assert "pa$$" not in str(told.value)
