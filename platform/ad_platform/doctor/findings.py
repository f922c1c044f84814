"""What a look at one part of the platform found, and the looking itself: side by side, never for long."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ad_platform.errors import AdctlError
from ad_platform.redaction import redacted

PATIENCE = 8.0  # seconds for all that is looked at
PATIENCE_TO_COMPARE = 40.0  # seconds to set store, broker, MLflow, Optuna and disk against each other


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"  # worth knowing: something is off, late or missing, and work goes on without it
    PROBLEM = "problem"  # something that is asked for will fail


@dataclass(frozen=True, kw_only=True)
class Mending:
    """How a finding is put right; to do it twice, or on what has changed meanwhile, does no harm."""

    words: str  # what it will do, as "takes the job back"
    do: Callable[[], str]  # does it and says what it did; raises AdctlError or OSError where it cannot


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line about one part, and what to do about it."""

    level: Level
    about: str
    words: str
    remedy: str = ""
    kind: str = ""  # what is wrong, in a word that stays the same; "" where the part says it all
    subject: str = ""  # the id, name or path of what it is about
    mending: Mending | None = field(default=None, compare=False)

    @property
    def identity(self) -> tuple[str, str]:
        """Return what tells this finding from others, and is the same at the next look."""
        return (self.kind or self.about, self.subject)

    @property
    def advice(self) -> str:
        """Return what to do: by hand, or what `adctl doctor --fix` does."""
        return f"--fix {self.mending.words}" if self.mending else self.remedy


Look = Callable[[], Iterable[Finding]]


def ok(about: str, words: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(level=Level.OK, about=about, words=words)


def warning(about: str, words: str, remedy: str = "") -> Finding:
    """Return a finding worth knowing."""
    return Finding(level=Level.WARNING, about=about, words=words, remedy=remedy)


def problem(about: str, words: str, remedy: str = "") -> Finding:
    """Return a finding that makes something fail."""
    return Finding(level=Level.PROBLEM, about=about, words=words, remedy=remedy)


def examine(looks: Sequence[tuple[str, Look]], patience: float = PATIENCE) -> list[Finding]:
    """Look at all parts at the same time and return the findings in the order of the parts.

    A part that gives no answer in time is a finding, and so is a look that fails.
    """
    found: dict[str, list[Finding]] = {}
    # Daemons: one that hangs on a dead network must not keep the program from ending.
    threads = [
        threading.Thread(target=_look, args=(about, look, found), daemon=True) for about, look in looks
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {patience:.0f} s"
    return [
        replace(finding, words=redacted(finding.words))  # what other people's errors repeat
        for about, _ in looks
        for finding in found.get(about, [problem(about, late, "it is slow, or out of reach")])
    ]


def _look(about: str, look: Look, found: dict[str, list[Finding]]) -> None:
    try:
        seen = list(look())
    except (AdctlError, OSError) as error:
        seen = [problem(about, " ".join(str(error).split()))]
    except Exception as error:  # noqa: BLE001 - what is broken here is what was looked for
        seen = [
            problem(about, f"cannot be looked at: {type(error).__name__}: {' '.join(str(error).split())}")
        ]
    found[about] = seen
