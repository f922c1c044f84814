"""Ask PyPI for known vulnerabilities in the pinned versions: `make audit`, where there is a network.

pip-audit runs in an environment of its own, so that its dependencies are not among ours. Exit codes: 0 where
nothing is known, 1 where something is, 75 where PyPI could not be asked, so that nobody knows.
"""

import datetime
import os
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK, ADVISORIES = ROOT / "constraints.txt", ROOT / ".ci" / "advisories.toml"
AUDITOR = "pip-audit==2.10.1"
PROBE = "https://pypi.org/pypi/pip/23.2.1/json"  # as pip-audit asks, of a version that is surely there
TEMPORARY = 75


def main() -> int:
    """Audit the lock, and return an exit code."""
    if why := out_of_reach():
        print(f"nothing was checked: {PROBE} does not answer as PyPI does ({why})", file=sys.stderr)
        return TEMPORARY
    python = auditor()
    if python is None:
        print(f"nothing was checked: {AUDITOR} could not be installed", file=sys.stderr)
        return TEMPORARY
    command = [str(python), "-m", "pip_audit", "--progress-spinner", "off", "--disable-pip", "--no-deps"]
    # Strict: a version that PyPI does not know counts as a failure, not as one without vulnerabilities.
    command += ["--strict", "--desc", "-r", str(LOCK)]
    for advisory in ignored():
        command += ["--ignore-vuln", advisory]
    return subprocess.run(command, check=False).returncode


def out_of_reach() -> str:
    """Return why PyPI's JSON cannot be asked, "" if it can: some mirrors serve files and nothing else."""
    try:
        with urllib.request.urlopen(PROBE, timeout=20) as answer:
            return "" if answer.status == 200 else f"status {answer.status}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)


def auditor() -> Path | None:
    """Return the Python of an environment with pip-audit, made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adctl-audit"
    folder = cache / AUDITOR
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", AUDITOR]
        if subprocess.run(install, check=False).returncode:
            return None
        (folder / "made").touch()
    return python


def ignored() -> list[str]:
    """Return the advisories that somebody has looked at, and not too long ago."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    listed = tomllib.loads(ADVISORIES.read_text())["ignored"]
    return [str(each["id"]) for each in listed if each["expires"] >= today]


if __name__ == "__main__":
    raise SystemExit(main())
