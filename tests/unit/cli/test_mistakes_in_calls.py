"""Mistakes in what is typed: commands, options and values that there are none of."""

import pytest

from ad_cli import tree
from ad_cli.main import app
from mistakes import Mistake, m

ROOT = tree.read(app)
COMMANDS = [command for command in ROOT.walk() if command.path]

TABLE = [
    m("sumbit train -m toy", 2, "adctl sumbit", "did you mean submit?"),
    m("submit trani -m toy", 2, "adctl submit trani", "did you mean train?"),
    m("train -m toy", 2, "adctl train", "did you mean adctl submit train?"),
    m("frobnicate", 2, "adctl frobnicate", "there are: ", "submit"),
    m("LIST", 2, "LIST", "did you mean list?"),
    m("submit", 2, "adctl submit needs a command", "train"),
    m("worker", 2, "adctl worker needs a command", "drain"),
    m("--verison", 2, "--verison", "did you mean --version?"),
    m("--json list", 2, "--json", "come after the command"),
    m("submit --wait train -m toy", 2, "--wait", "adctl submit train --wait"),
    m("submit train --modle toy", 2, "--modle", "--model", "adctl submit train --help"),
    m("submit train -model toy", 2, "-model", "did you mean --model?"),
    m("submit train -m toy --data {screw} extra words", 2, "unexpected argument: extra words"),
    m("submit train -m", 2, "-m needs a value", "NAME"),
    m("submit train -m toy --data", 2, "--data needs a value", "DIR"),
    m("list --json=yes", 2, "--json is a switch"),
    m("list --no-json", 2, "--no-json", "did you mean --json?"),
    m("list --state runing", 2, "--state", "'runing'", "did you mean running?"),
    m("list --kind trani", 2, "--kind", "'trani'", "did you mean train?"),
    m("list --limit many", 2, "--limit", "'many' is not a whole number"),
    m("list --limit 0", 2, "--limit", "from 1 to"),
    m("doctor --fixx", 2, "--fixx", "did you mean --fix?"),
    m("doctor --fix=all", 2, "--fix is a switch"),
    m("doctor jobs", 2, "unexpected argument: jobs"),
    m("list -x", 2, "no such option: -x", "adctl list --help"),
    m("show", 2, "JOB", "is missing", "@last"),
    m("cancel", 2, "which job?", "@last"),
    m("data synth", 2, "OUT", "is missing"),
    m("data prepare vista {screw} {out}", 2, "'vista'", "did you mean visa?"),
    m("logs {job} --tail -1", 2, "--tail", "at least 0"),
    m("logs {job} --tail few", 2, "--tail", "'few' is not a whole number"),
    m("logs {job} --attempt 0", 2, "--attempt", "at least 1"),
    m("promote {job} --wait soon", 2, "--wait", "'soon' is not a number"),
    m("submit train -m toy --data {screw} --seed -1", 2, "--seed", "-1"),
    m("submit train -m toy --data {screw} --seed x", 2, "--seed", "'x' is not a whole number"),
    m("submit train -m toy --data {screw} --seed 1e3", 2, "--seed", "'1e3' is not a whole number"),
    m("submit train -m toy --data {screw} --imgsz 0", 2, "--imgsz", "0"),
    m("submit train -m toy --data {screw} --imgsz big", 2, "--imgsz", "'big' is not a whole number"),
    m("submit train -m toy --data {screw} --priority 101", 2, "--priority", "from -100 to 100"),
    m("submit train -m toy --data {screw} --max-attempts 0", 2, "--max-attempts", "0"),
    m("submit train -m toy --data {screw} --timeout 2", 2, "--timeout", "is it 2s, 2m or 2h?"),
    m(
        "submit train -m toy --data {screw} --timeout soon",
        2,
        "--timeout",
        "'soon' is not a length of time, such as 90s",
    ),
    m("submit train -m toy --data {screw} --timeout 0h", 2, "--timeout", "from 1s to 366d, not 0h"),
    m("submit train -m toy --data {screw} --timeout=-5m", 2, "--timeout", "'-5m' is not"),
    m("submit evaluate {job} --timeout 999999d", 2, "--timeout", "from 1s to 366d"),
    m("submit sweep -m toy --data {screw} --timeout 1x", 2, "--timeout", "'1x' is not"),
    m("submit benchmark -m toy --data {parts} --timeout 1x", 2, "--timeout", "'1x' is not"),
    m("submit train -m toy --data {screw} --memory 20", 2, "--memory", "'20' is not an amount of memory"),
    m("submit train -m toy --data {screw} --memory 99999999TB", 2, "--memory", "no machine has 99999999TB"),
    m("submit sweep -m toy --data {screw} --memory much", 2, "--memory", "'much' is not"),
    m("submit train -m toy --data {screw} --gpus 0", 2, "--gpus", "from 1 to 1024, not 0"),
    m("submit train -m toy --data {screw} --gpus 2 --device cpu", 2, "2 GPUs and device cpu contradict"),
    m("quota set ann", 2, "say how much", "--gpus N"),
    m("quota set ann --gpus -1", 2, "--gpus", "0 or more, or none, not '-1'"),
    m("quota set ann --jobs few", 2, "--jobs", "not 'few'"),
    m("quota set ann --jobs none", 2, "leaves no limit", "adctl quota clear ann"),
    m("quota clear ann", 2, "no user with a quota named 'ann'"),
    m("submit train -m toy --data {screw} --checkpoint-every 0", 2, "--checkpoint-every", "0"),
    m("up --slots 0", 2, "--slots", "from 1 to 256", "0"),
    m("worker start --slots 1000", 2, "--slots", "from 1 to 256", "1000"),
    m("worker start --queues ,", 2, "--queues", "at least one label"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_mistyped_call_gets_one_line_that_says_what_to_type(row: Mistake, mistaken) -> None:
    mistaken(row)


@pytest.mark.parametrize("text", ["a\0b", "two\nlines", "bell\a", "esc\x1b[31m"])
@pytest.mark.parametrize("call", [["show"], ["submit", "train", "-m"], ["list", "--user"], ["--"]])
def test_control_characters_are_named_and_never_reach_the_terminal(text, call, said) -> None:
    code, out, err = said([*call, text])

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.isascii()
    assert err[:-1].isprintable()


def test_an_argument_that_is_not_utf8_is_named(said) -> None:
    code, out, err = said(["list", "--user", "caf\udce9"])

    assert (code, out) == (2, "")
    assert "argument 3 is not UTF-8: 'caf\\udce9'" in err


def test_a_very_long_argument_is_not_repeated_in_full(said) -> None:
    for call in (["show"], ["submit", "train", "-m"], ["list", "--state"], ["submit"], ["list"]):
        code, _, err = said([*call, "x" * 100_000])

        assert code == 2
        assert err.count("\n") == 1
        assert len(err) < 800


def typo(name: str) -> str:
    """What a hurried person makes of a name: two letters swapped, or the last one twice."""
    middle = len(name) // 2 + 1
    swapped = name[:middle] + name[middle : middle + 2][::-1] + name[middle + 2 :]
    return name + name[-1] if swapped == name else swapped


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_a_typo_in_any_option_suggests_that_option(command: tree.Command, said) -> None:
    known = {name for one in command.parameters for name in one.names if name.startswith("--")}
    # The two that every command has are tried on one of them.
    for name in sorted(known - ({"--json", "--quiet"} if command.path != ("list",) else set())):
        code, out, err = said([*command.path, typo(name), "1"])

        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert f"no such option: {typo(name)}; did you mean" in err
        assert name in err.partition("did you mean")[2], err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_a_typo_in_any_command_suggests_that_command(command: tree.Command, said) -> None:
    *above, name = command.path
    code, out, err = said([*above, typo(name)])

    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert name in err.partition("did you mean")[2], err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_an_option_without_its_value_names_itself(command: tree.Command, said) -> None:
    for option in (one for one in command.parameters if one.names and one.takes_value):
        code, out, err = said([*command.path, option.names[-1]])

        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert f"{option.names[-1]} needs a value" in err


NUMBERS = [
    (command, option)
    for command in COMMANDS
    for option in command.parameters
    if option.kind in (int, float) and all(one.names for one in command.parameters)
]


@pytest.mark.parametrize(
    ("command", "option"), NUMBERS, ids=[f"{command.words} {option.names[0]}" for command, option in NUMBERS]
)
def test_a_number_that_is_none_is_repeated(command: tree.Command, option: tree.Parameter, said) -> None:
    code, out, err = said([*command.path, f"{option.names[0]}=a lot"])

    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert f"{option.names[0]}: 'a lot' is not" in err or "--model NAME (the detector) is missing" in err
