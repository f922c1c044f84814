"""The commands of the README, and a folder that looks like a fresh clone after installing, to run them in."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Not run as they stand; what is checked instead is said beside each.
EXCEPTIONS = {
    r"make test$": "this is a part of it",
    r"pip install ": "needs a network; tests/integration/packaging installs the wheel",
    r"docker compose up ": "needs Docker; tests/docs/test_compose.py reads what it would start",
    r"adctl --install-completion$": "writes to the shell's own files",
}
CLONED = ("Makefile", ".ci", ".env.example", "pyproject.toml", "constraints.txt")


def commands(page: Path) -> list[str]:
    """Return what stands after `$ ` in the console blocks of a page, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [line[2:].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def words_of(command: str) -> str:
    """Return a command without its comment."""
    return re.sub(r"\s+#.*$", "", command)


def exception(command: str) -> str | None:
    """Return why a command is not run, None if it is."""
    words = words_of(command)
    return next((why for pattern, why in EXCEPTIONS.items() if re.match(pattern, words)), None)


@dataclass(frozen=True)
class Shell:
    """A clone with an environment that is up to date, in which a person types."""

    clone: Path
    data: Path  # stands for /data
    env: dict[str, str]

    @classmethod
    def in_a_fresh_clone(cls, folder: Path, data: Path) -> "Shell":
        """Make the clone's files and an environment that .ci/venv takes for a finished one."""
        clone = folder / "a clone of adctl"
        clone.mkdir()
        for name in CLONED:
            source = ROOT / name
            shutil.copytree(source, clone / name) if source.is_dir() else shutil.copy(source, clone / name)
        programs = clone / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, module in (("python", ""), ("adctl", "-m ad_cli")):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
            script.chmod(0o755)
        (programs / "activate").write_text(f"PATH={shlex.quote(str(programs))}:$PATH\n")
        pins = (clone / "pyproject.toml").read_bytes() + (clone / "constraints.txt").read_bytes()
        (clone / ".venv" / ".adctl-worker").write_text(hashlib.sha256(pins).hexdigest() + "\n")
        (clone / ".venv" / ".adctl-place").write_text(f"{(clone / '.venv').resolve()}\n")
        (clone / ".venv" / ".adctl-checkout").write_text(f"{clone}\n")
        kept = {
            name: value
            for name, value in os.environ.items()
            # VENV and what make hands down would lead to the environment of whoever runs the tests.
            if not name.startswith(("ADCTL_", "MLFLOW_", "VENV", "MAKE", "MFLAGS"))
        }
        ours = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "ADCTL_HOME": str(folder / "home of adctl"),
            "HOME": str(folder),
            "COLUMNS": "80",
        }
        return cls(clone, data, {**kept, **ours})

    def __call__(self, command: str, seconds: float = 800) -> "subprocess.CompletedProcess[str]":
        """Type a command, with /data where the images are, and return what came of it."""
        line = words_of(command).replace("/data/", f"{shlex.quote(str(self.data))}/")
        return subprocess.run(
            ["bash", "-c", f". .venv/bin/activate\n{line}"],
            cwd=self.clone,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
