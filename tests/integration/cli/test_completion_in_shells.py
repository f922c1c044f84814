"""Promises of completion in real shells: the Tab key is pressed on a terminal, and the line is looked at."""

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import services
from ad_cli.completion.shells import SHELLS, install
from mistakes import CANCELLED

pytest.importorskip("pty")

PATIENCE = 30.0  # seconds, on a machine that does much else
START = {
    "bash": ["bash", "--noprofile", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--private", "--no-config", "-i"],
}
READ = {
    "bash": ". {script}",
    "zsh": "autoload -Uz compinit; compinit -u -D; . {script}",
    "fish": ". {script}",
}


class Terminal:
    """What a person sees of a shell."""

    def __init__(self, keys: int, screen: int) -> None:
        self.keys, self.screen, self.seen = keys, screen, ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.keys, text.encode())

    def wait_for(self, text: str) -> bool:
        """Read on until a text is there, whatever the shell does to draw it; False after a while."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            if time.monotonic() > deadline:
                return False
            ready, _, _ = select.select([self.screen], [], [], 0.5)
            if ready:
                self.seen += plain(os.read(self.screen, 65536).decode(errors="replace"))
        return True


def plain(drawn: str) -> str:
    return re.sub(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|\][^\x07]*\x07|\(.|[=>])|[\x07\x08\r]", "", drawn)


@contextmanager
def shell(name: str, env: dict[str, str], script: Path) -> Iterator[Terminal]:
    # A program of its own makes the terminal: this one may have threads, and must not fork.
    spawn = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *START[name]]
    child = subprocess.Popen(
        spawn, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdin
    assert child.stdout
    terminal = Terminal(child.stdin.fileno(), child.stdout.fileno())
    try:
        terminal.type(READ[name].format(script=script) + "; echo 'rea''dy now'\n")
        assert terminal.wait_for("ready now"), terminal.seen
        yield terminal
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def env(person, tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "bin" / "adctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ad_cli "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(program.parent), person.env["PATH"]))
    return {**person.env, "PATH": path, "HOME": str(tmp_path), "TERM": "xterm", "PS1": "$ "}


@pytest.mark.parametrize("name", list(SHELLS))
def test_the_tab_key_completes(name: str, env: dict[str, str], tmp_path: Path, person) -> None:
    if shutil.which(name) is None:
        services.unavailable(f"{name} is not installed")
    script = install(name, tmp_path / "installed")
    cases = [
        ("adctl submit train -m toy -S imag", "e_size="),
        ("16 -S mode=med", "ian "),  # a value follows a setting's "=" at once
        ("--see", "d "),
        (f"3 --data {person.desk.images}/par", "ts/"),
    ]
    with shell(name, env, script) as terminal:
        for typed, completed in cases:
            terminal.seen = ""
            terminal.type(f"{typed}\t")
            assert terminal.wait_for(completed), terminal.seen
        terminal.type("\x15adctl show cc\t")
        assert terminal.wait_for(CANCELLED[2:]), terminal.seen


def test_the_script_that_is_shown_is_that_of_the_shell_that_asks(env: dict[str, str], person) -> None:
    called = person.types(
        "--show-completion", env={**env, "SHELL": "/bin/fish"}, before=("sh", "-c", '"$@"', "sh")
    )

    assert called.returncode == 0
    assert called.stdout in {SHELLS[name].script for name in SHELLS}


def test_installing_writes_below_the_home_folder_alone(env: dict[str, str], tmp_path: Path, person) -> None:
    shells = ("bash", "-c", '"$@"; true', "bash")
    called = person.types("--install-completion", env=env, before=shells)

    assert called.returncode == 0
    assert called.stdout == ""
    assert str(tmp_path / ".bash_completions" / "adctl.sh") in called.stderr
    assert (tmp_path / ".bashrc").read_text() == ". ~/.bash_completions/adctl.sh\n"
