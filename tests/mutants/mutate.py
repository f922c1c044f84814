"""Takes the guard of each promise away, in a clone, and sees whether the promise's test turns red.

    python tests/mutants/mutate.py [NUMBER ...]

A patch `NN-name.patch` begins with lines that say what it takes away and what must turn red:

    Guard: what keeps the promise, in a sentence
    Test: the id of the test, as pytest prints it
    Says: words that the failed test must print, so that it fails for the right reason

Each test is run as it stands first: one that is red anyway would prove nothing. Nothing outside the clone is
changed; what is not committed is left out, and said.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")
PATIENCE = 900.0  # seconds for one test
GREEN, RED = 0, 1  # as pytest ends


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One patch."""

    number: int
    file: Path
    guard: str
    test: str
    says: str


def mutants(folder: Path = FOLDER) -> list[Mutant]:
    """Return all of them, by number."""
    return [_read(file) for file in sorted(folder.glob("[0-9][0-9]-*.patch"))]


def _read(file: Path) -> Mutant:
    head = file.read_text(encoding="utf-8").partition("\ndiff ")[0]
    told = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    number = int(file.name[:2])
    return Mutant(number=number, file=file, guard=told["Guard"], test=told["Test"], says=told["Says"])


def clone(folder: Path) -> None:
    """Clone what is committed."""
    _git("clone", "--quiet", "--shared", str(REPOSITORY), str(folder), cwd=REPOSITORY)


def applies(mutant: Mutant, tree: Path) -> str:
    """Return why a patch does not apply to a tree, or nothing."""
    tried = subprocess.run(
        ["git", "apply", "--check", str(mutant.file)], cwd=tree, capture_output=True, text=True, check=False
    )
    return tried.stderr.strip()


def run(test: str, tree: Path) -> "subprocess.CompletedProcess[str]":
    """Run a test on the code of a tree."""
    roots = os.pathsep.join(str(tree / root) for root in ROOTS)
    data = os.environ.get("ADCTL_TEST_DATA", str(REPOSITORY.parent / "shared" / "data"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", "slow or not slow", test],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": roots, "ADCTL_TEST_DATA": data},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def verdict(mutant: Mutant, folder: Path) -> str:
    """Try one mutant in a clone of its own; return what is wrong, or nothing if its test turned red."""
    tree = folder / mutant.file.stem
    clone(tree)
    if why := applies(mutant, tree):
        return f"its patch does not apply: {why}"
    if (before := run(mutant.test, tree)).returncode != GREEN:
        return f"its test is red though nothing is taken away:\n{before.stdout[-3000:]}"
    _git("apply", str(mutant.file), cwd=tree)
    after = run(mutant.test, tree)
    if after.returncode == GREEN:
        return "nobody noticed"
    if after.returncode != RED or mutant.says not in after.stdout:
        return f"its test fails, but does not say '{mutant.says}':\n{after.stdout[-3000:]}"
    return ""


def main(numbers: Sequence[str]) -> int:
    """Try the mutants of these numbers, or all; return 0 if every one was noticed."""
    chosen = [one for one in mutants() if not numbers or str(one.number) in numbers]
    if _git("status", "--porcelain", cwd=REPOSITORY):
        print("what is not committed is left out")
    survived = 0
    with tempfile.TemporaryDirectory(prefix="adctl-mutants-") as name:
        for mutant in chosen:
            began = time.monotonic()
            wrong = verdict(mutant, Path(name))
            survived += bool(wrong)
            print(
                f"{mutant.number:2}  {'SURVIVES' if wrong else 'noticed'}  {time.monotonic() - began:4.0f} s"
                f"  without: {mutant.guard}\n{wrong}".rstrip(),
                flush=True,
            )
    print(f"{len(chosen) - survived} of {len(chosen)} noticed")
    return 1 if survived or not chosen else 0


def _git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
