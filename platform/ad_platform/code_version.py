"""Which code submitted a job: the version, and for a checkout its commit and what was changed since."""

import hashlib
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

UNKNOWN = "unknown"


def package_version() -> str:
    """Return the installed version of adctl."""
    try:
        return metadata.version("adctl")
    except metadata.PackageNotFoundError:
        return UNKNOWN


def code_version(root: Path | None = None) -> dict[str, str]:
    """Return the facts a job records about the code.

    `version` always; from a git checkout also `commit` and, when files differ from it, `diff`: the SHA-256 of
    those differences, untracked files included, so that a changed tree is never taken for the commit. Where
    git cannot answer, `diff` is "unknown" rather than left out.
    """
    checkout = root or Path(__file__).resolve().parents[2]
    # An installed copy may lie inside somebody else's repository: only a checkout of our own counts.
    if not (checkout / ".git").exists() or not (checkout / "pyproject.toml").is_file():
        return {"version": package_version()}
    facts = {"version": _version_of(checkout)}
    commit = _git(checkout, "rev-parse", "HEAD")
    changes = _changes(checkout)
    if commit is None or changes is None:
        return {**facts, "commit": UNKNOWN, "diff": UNKNOWN}
    facts["commit"] = commit.decode().strip()
    if changes:
        facts["diff"] = hashlib.sha256(changes).hexdigest()
    return facts


def _version_of(checkout: Path) -> str:
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])
    except (OSError, ValueError, KeyError):
        return package_version()


def _changes(checkout: Path) -> bytes | None:
    tracked = _git(checkout, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color")
    untracked = _git(checkout, "ls-files", "--others", "--exclude-standard", "-z")
    if tracked is None or untracked is None:
        return None
    parts = [tracked]
    for name in sorted(part for part in untracked.split(b"\0") if part):
        path = checkout / name.decode(errors="surrogateescape")
        try:
            content = path.read_bytes()
        except OSError:
            content = b""  # gone since, or a link to nowhere: its name still tells
        parts.append(name + b"\0" + hashlib.sha256(content).digest())
    return b"".join(parts)


def _git(checkout: Path, *arguments: str) -> bytes | None:
    try:
        return subprocess.run(
            ["git", "-C", str(checkout), *arguments], check=True, capture_output=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
