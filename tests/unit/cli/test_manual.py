"""What docs/cli.md and the help pages say of commands, options and exit codes is all there is, and is so."""

import re
from pathlib import Path

import pytest

from ad_cli import tree
from ad_cli.exits import Exit
from ad_cli.main import app, run
from ad_cli.ordering import ORDER

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
ROOT = tree.read(app)
COMMANDS = [command for command in ROOT.walk() if command.path]
ROWS = {
    " ".join(word for word in match[1].split() if re.fullmatch("[a-z]+", word)): match[0]
    for match in re.finditer(r"^\| `(adctl [^`]*)` \|.*$", PAGE, re.MULTILINE)
}
SUBMITTING = PAGE[PAGE.index("| option of `submit` |") : PAGE.index("## Looking")]
EVERYWHERE = {"--json", "--quiet", "-q", "--help", "-h"}


def test_the_page_has_every_command_in_the_order_of_the_help_page() -> None:
    assert list(ROWS) == [command.words for command in COMMANDS]


def test_the_order_of_the_help_page_names_every_command() -> None:
    assert [name for name in ORDER if name in ROOT.below] == list(ROOT.below)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_the_page_has_every_option_of_a_command(command: tree.Command) -> None:
    told = ROWS[command.words] + (SUBMITTING if command.path[0] == "submit" else "")
    names = {name for one in command.parameters for name in one.names}

    assert {name for name in names - EVERYWHERE if f"`{name}" not in told} == set()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_the_page_has_no_option_that_a_command_lacks(command: tree.Command) -> None:
    names = {name for one in command.parameters for name in one.names}
    told = set(re.findall(r"`(--?[a-z][a-z-]*)", ROWS[command.words].rpartition(" | ")[2]))

    assert told - names - EVERYWHERE == set()


@pytest.mark.parametrize("command", [ROOT, *COMMANDS], ids=lambda command: command.words)
def test_help_is_sentences_and_fits_a_narrow_terminal(command: tree.Command, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command.path, "--help"]) == 0

    page = capsys.readouterr().out
    assert max(len(line) for line in page.splitlines()) <= 80
    assert re.match(r"[A-Z].*[.:;]", command.help), command.help
    for one in command.parameters:
        assert re.match(r"[A-Za-z0-9].*\.$", one.help, re.DOTALL), (one.names or one.metavar, one.help)


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if not one.below], ids=lambda command: command.words
)
def test_every_command_prints_for_programs_and_can_be_quiet(command: tree.Command) -> None:
    names = {name for one in command.parameters for name in one.names}

    assert names >= {"--json", "--quiet"}


def test_the_table_of_exit_codes_is_that_of_the_program() -> None:
    told = re.findall(r"^\| (\d+) \| (\S.*) \|$", PAGE, re.MULTILINE)

    assert [int(code) for code, _ in told] == sorted(int(code) for code in Exit)


def test_the_mistake_on_the_page_is_answered_as_the_page_says(capsys) -> None:
    typed, said = re.search(r"^\$ adctl (.*)\n(error: .*)$", PAGE, re.MULTILINE).groups()

    assert run(typed.split()) == Exit.USAGE
    assert capsys.readouterr().err == f"{said}\n"


def test_adctl_alone_shows_the_help_page_and_its_version_is_one_line(capsys) -> None:
    assert run([]) == run(["--help"]) == 0
    alone, asked = capsys.readouterr().out.split("Usage:")[1:]
    assert alone.strip() == asked.strip()

    assert run(["--version"]) == 0
    assert re.fullmatch(r"adctl \S+\n", capsys.readouterr().out)
