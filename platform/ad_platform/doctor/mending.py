"""Mends what was found, one by one, and looks again: what is gone was mended, whoever did it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ad_platform.doctor.findings import Finding
from ad_platform.errors import AdctlError

ROUNDS = 6  # of looking and mending: what was mended may let something else be seen
TRIES = 2  # for one finding


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """A finding that somebody tried to mend, and what came of it."""

    finding: Finding
    said: str  # what was done, or why it could not be
    fixed: bool


@dataclass(frozen=True, kw_only=True)
class Mended:
    """What was tried, and what a last look still found."""

    attempted: Sequence[Attempted]
    found: Sequence[Finding]


def mend(
    look: Callable[[], Sequence[Finding]],
    found: Sequence[Finding],
    tell: Callable[[Finding], None] = lambda finding: None,
) -> Mended:
    """Mend what can be, look again, and go on while that helps.

    `tell` hears of each finding before it is mended. Whoever is killed in the middle has mended some of it.
    """
    tried: dict[tuple[str, str], tuple[Finding, str, int]] = {}
    for _ in range(ROUNDS):
        todo = [each for each in found if each.mending and tried.get(each.identity, (0, 0, 0))[2] < TRIES]
        for finding in todo:
            tell(finding)
            times = tried.get(finding.identity, (0, 0, 0))[2]
            tried[finding.identity] = (finding, _do(finding), times + 1)
        if not todo:
            break
        found = look()
    left = {finding.identity for finding in found}
    attempted = tuple(
        Attempted(finding=finding, said=said, fixed=identity not in left)
        for identity, (finding, said, _) in tried.items()
    )
    return Mended(attempted=attempted, found=tuple(found))


def _do(finding: Finding) -> str:
    assert finding.mending is not None
    try:
        return finding.mending.do()
    except (AdctlError, OSError) as error:
        return " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 - what cannot be mended must not keep the rest from being
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
