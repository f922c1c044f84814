"""Promises of adctl as a program: help, exit codes, what it loads."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ad_cli import main as program
from ad_cli import tree
from ad_cli.exits import TABLE, Exit, exit_of
from ad_platform import errors

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


PATHS = [command.path for command in tree.read(program.app).walk()]


def all_errors(kind: type[errors.AdctlError]) -> list[type[errors.AdctlError]]:
    return [kind, *(inner for below in kind.__subclasses__() for inner in all_errors(below))]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_help_whose_first_line_is_not_cut(path, capsys):
    assert program.run([*path, "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("Usage: adctl")
    assert not re.search(r"\.\.\.$", said.partition("\nCommands:\n")[2], re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=" ".join)
def test_every_command_is_in_the_documentation(path):
    assert f"adctl {' '.join(path)}" in DOCS.read_text()


@pytest.mark.parametrize("kind", all_errors(errors.AdctlError), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_and_only_the_root_is_a_fault(kind):
    code = exit_of(kind.__new__(kind))

    assert (code is Exit.BUG) == (kind is errors.AdctlError)


def test_an_error_gets_the_code_of_the_first_class_that_fits():
    kinds = [kind for kind, _ in TABLE]

    for earlier, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[earlier + 1 :] if later is not kind)


def test_the_documentation_has_the_whole_table_of_exit_codes():
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)}

    assert told == {int(code) for code in Exit}


def test_an_unexpected_error_is_one_line_unless_debugging(monkeypatch, capsys, tmp_path):
    def broken(*arguments: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("ad_cli.session.settings", broken)
    plain = program.run(["db", "check"]), capsys.readouterr().err
    monkeypatch.setenv("ADCTL_DEBUG", "1")
    debugging = program.run(["db", "check"]), capsys.readouterr().err

    assert plain[0] == debugging[0] == 1
    assert plain[1].count("\n") == 1
    assert "boom" in plain[1]
    assert "Traceback" in debugging[1]


def test_a_setting_of_the_environment_that_is_no_number_is_named(monkeypatch, capsys):
    monkeypatch.setenv("ADCTL_LEASE", "soon")

    assert program.run(["list"]) == 2
    assert "ADCTL_LEASE" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    heavy = ["torch", "mlflow", "celery", "kombu", "optuna", "sqlalchemy", "fsspec", "pydantic", "rich"]
    heavy += ["ad_platform.records", "ad_detectors", "ad_workers", "yaml", "psutil"]
    script = (
        "import sys, json\n"
        "from ad_cli.main import run\n"
        "code = run(['--help'])\n"
        f"print(json.dumps([code, [name for name in {heavy!r} if name in sys.modules]]), file=sys.stderr)"
    )
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert json.loads(called.stderr) == [0, []]


def test_python_m_ad_cli_is_adctl():
    called = subprocess.run(
        [sys.executable, "-m", "ad_cli", "--version"], capture_output=True, text=True, check=False
    )

    assert (called.returncode, called.stdout.split()[0]) == (0, "adctl")


def test_an_unknown_command_is_a_usage_error(capsys):
    assert program.run(["sumbit"]) == 2
    assert "sumbit" in capsys.readouterr().err


def test_the_help_page_is_made_without_its_commands_and_reads_the_same(capsys, monkeypatch):
    assert program.run(["--help"]) == 0
    quick = capsys.readouterr().out
    monkeypatch.setattr(program, "outline", lambda app: app)

    assert program.run(["--help"]) == 0
    assert capsys.readouterr().out == quick
