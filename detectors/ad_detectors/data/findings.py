"""What a check of a category can find, how bad it is, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

SHOWN = 10  # files named below a warning or a note; errors are all named


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"  # training or evaluating fails, or its numbers are wrong
    WARNING = "warning"  # numbers that mean less than they seem to
    INFO = "info"  # worth knowing


class Kind(Enum):
    """Every kind of finding: its severity, what it says of a file, and what to do."""

    def __init__(self, severity: Severity, says: str, advice: str) -> None:
        self.severity, self.says, self.advice = severity, says, advice

    UNREADABLE = Severity.ERROR, "cannot be read", "replace or remove it"
    NO_TRAINING = Severity.ERROR, "no normal pictures to learn from", "put them into train/good/"
    MISNAMED_NORMAL = Severity.ERROR, "counts as a defect of that name", "call normal pictures good"
    TWO_MASKS = Severity.ERROR, "another mask of the same picture", "remove one of them"
    SHARED_MASK = Severity.ERROR, "shares its mask with another picture", "rename one of them"
    MASK_WITHOUT_PICTURE = (
        Severity.ERROR,
        "a mask without its picture",
        "call it <picture>_mask.png or remove it",
    )
    MASK_SHAPE = (
        Severity.ERROR,
        "the mask has other proportions than its picture",
        "draw it on the picture itself",
    )
    BOTH_LABELS = Severity.ERROR, "one picture is normal here and anomalous there", "keep the right one"
    LEAKED = (
        Severity.WARNING,
        "a picture of the test is in the training too",
        "remove one: its score says nothing",
    )
    FEW_TRAINING = Severity.WARNING, "few normal pictures to learn from", "add more: dozens, better hundreds"
    NO_NORMAL_TEST = (
        Severity.WARNING,
        "no normal test pictures",
        "add test/good/, or no AUROC can be measured",
    )
    NO_ANOMALOUS_TEST = Severity.WARNING, "no anomalous test pictures", "add test/<defect>/ to evaluate"
    PICTURE_WITHOUT_MASK = (
        Severity.WARNING,
        "anomalous, and has no mask",
        "draw one, or its pixels are not evaluated",
    )
    EMPTY_MASK = (
        Severity.WARNING,
        "the mask marks no pixel",
        "draw the defect, or move a normal picture to test/good/",
    )
    FULL_MASK = Severity.WARNING, "the mask marks nearly every pixel", "invert it, if black is the defect"
    GREY_MASK = (
        Severity.WARNING,
        "the mask has shades of grey",
        "save it as PNG, 0 and 255: all but black is marked",
    )
    MASK_OF_NORMAL = (
        Severity.WARNING,
        "a mask that marks pixels of a normal picture",
        "move the picture, or remove it",
    )
    BLANK = Severity.WARNING, "every pixel has the same colour", "remove it, if the camera failed"
    NOT_READ = Severity.WARNING, "is not read", "move it into train/ or test/, if it should be"
    FOREIGN = Severity.WARNING, "is no picture that is read", "save it as PNG"
    NO_MASKS = Severity.INFO, "no defect is drawn", "add ground_truth/<defect>/ to evaluate pixels"
    NO_TEST = Severity.INFO, "no test pictures", "add test/good/ and test/<defect>/ to evaluate"
    REPEATED = Severity.INFO, "the same picture as another one", "remove one"
    MASK_SIZE = Severity.INFO, "the mask has another size than its picture", "it will be stretched"
    LABELLED = Severity.INFO, "is learnt from by supervised detectors alone", "others read train/good/"
    SIZES = Severity.INFO, "sizes differ", "all are squeezed to one square"
    DEPTHS = Severity.INFO, "colours differ", "all become RGB"


@dataclass(frozen=True)
class Finding:
    """One thing about one file or folder."""

    kind: Kind
    path: str  # relative to the category's folder; "" for the category itself
    words: str = ""  # more than its kind says

    @property
    def severity(self) -> Severity:
        """Return how bad it is."""
        return self.kind.severity

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "severity": self.severity.value,
            "kind": self.kind.name.lower().replace("_", "-"),
            "path": self.path,
            "words": f"{self.kind.says}: {self.words}" if self.words else self.kind.says,
            "advice": self.kind.advice,
        }


@dataclass(frozen=True)
class Defect:
    """One folder of the test split."""

    name: str  # "good" for normal pictures
    pictures: int
    masks: int


@dataclass(frozen=True)
class Report:
    """What a check of one category found, the worst first."""

    dataset: str
    category: str
    path: str
    train: int  # pictures
    test: tuple[Defect, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Return the number of findings of this severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def errors(self) -> int:
        """Return the number of errors; a category without any can be used."""
        return self.count(Severity.ERROR)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON object."""
        return {
            "dataset": self.dataset,
            "category": self.category,
            "path": self.path,
            "train": self.train,
            "test": {
                defect.name: {"pictures": defect.pictures, "masks": defect.masks} for defect in self.test
            },
            "errors": self.errors,
            "warnings": self.count(Severity.WARNING),
            "findings": [finding.to_json() for finding in self.findings],
        }

    def lines(self) -> Iterator[str]:
        """Give the report as text: each kind once, its files below it."""
        yield f"{self.dataset}/{self.category}: {self._counts()}"
        for kind in dict.fromkeys(finding.kind for finding in self.findings):
            yield from _section(kind, [finding for finding in self.findings if finding.kind is kind])
        yield self.verdict()

    def verdict(self) -> str:
        """Return the last word in one line."""
        parts = [_number(self.errors, "error"), _number(self.count(Severity.WARNING), "warning")]
        said = ", ".join(part for part in parts if part)
        if self.errors:
            return f"{self.dataset}/{self.category} has {said}: repair it before training"
        return f"{self.dataset}/{self.category} is fine" + (f", with {said}" if said else "")

    def _counts(self) -> str:
        bad = [defect for defect in self.test if defect.name != "good"]
        good = sum(defect.pictures for defect in self.test if defect.name == "good")
        text = f"{self.train} to train"
        if not self.test:
            return text
        text += f"; test: {good} good, {sum(defect.pictures for defect in bad)} anomalous"
        if bad:
            text += f" ({', '.join(f'{defect.name} {defect.pictures}' for defect in bad)})"
        return f"{text}, {sum(defect.masks for defect in bad)} with a mask"


def _section(kind: Kind, findings: list[Finding]) -> Iterator[str]:
    head = f"  {kind.severity.value}: {kind.says}"
    if len(findings) == 1:
        only = findings[0]
        more = f": {only.words}" if only.words else ""
        yield f"{head}{more}; {kind.advice}" if not only.path else f"  {kind.severity.value}: {_said(only)}"
        return
    yield f"{head} ({len(findings)} files); {kind.advice}"
    shown = findings if kind.severity is Severity.ERROR else findings[:SHOWN]
    for finding in shown:
        yield f"    {finding.path}" + (f": {finding.words}" if finding.words else "")
    if len(findings) > len(shown):
        yield f"    and {len(findings) - len(shown)} more, which --json lists"


def _said(finding: Finding) -> str:
    more = f" ({finding.words})" if finding.words else ""
    return f"{finding.path}: {finding.kind.says}{more}; {finding.kind.advice}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count > 1 else ''}" if count else ""
