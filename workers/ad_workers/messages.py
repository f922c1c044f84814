"""What a supervisor, its child and the child's other ranks say: small frozen values, one JSON line each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from ad_platform.specs import Json
from ad_platform.states import Directive, FailureClass
from ad_workers.gpu import Gpu


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Everything a child needs to know to make one attempt."""

    job_id: str
    attempt: int
    kind: str
    spec: Mapping[str, Json]  # JobSpec.to_json()
    data: str  # the category's folder on this node
    storage_url: str
    scratch: str  # a folder of this attempt's own, removed afterwards
    cache: str  # the node's folder of decoded images
    fingerprints: str  # the node's file of content hashes
    weights: str | None
    lineage: tuple[str, ...]  # this job and those it retries, newest first: whose checkpoints count
    source: str | None  # the prefix of the model bundle to evaluate
    threads: int
    devices: tuple[Gpu, ...]  # the cards of its slots; none on a slot without one
    deadline: float  # boottime at which the lease ends unless renewed
    recorded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of each job of the lineage, the checkpoints that the store knows: prefix -> SHA-256 of the manifest."""
    source_sha256: str | None = None  # of the source's manifest
    selected_on: str = "none"  # which images the settings were chosen by
    batch_divisor: int = 1  # parts in which a batch is computed
    ranks: int = 1  # processes that fit together, each on a card of its own
    pushed: bool = False  # whether its images lie in the storage too
    fetch_limit: int = 0  # bytes of such images that the node keeps
    roots: tuple[str, ...] = ()  # the folders that its images may lie in; none: anywhere

    @property
    def cuda(self) -> str | None:
        """Return what the child is to see of CUDA: its cards by UUID, None where it has none."""
        return ",".join(gpu.uuid for gpu in self.devices) or None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The child got further."""

    step: int
    of: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    images: int = 0  # that the attempt has read or scored so far


@dataclass(frozen=True, kw_only=True)
class CheckpointMade:
    """A checkpoint lies whole in the storage."""

    step: int
    prefix: str
    manifest_sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class StageMade:
    """A stage lies whole in the storage."""

    key: str
    stage: str
    manifest_sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Facts about the attempt, for whoever looks at it later."""

    facts: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Done:
    """The work is complete and its bundle lies in the storage."""

    result: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The attempt failed, and why."""

    failure: FailureClass
    error: str


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """The lease was renewed: it lasts until this boottime."""

    deadline: float


@dataclass(frozen=True, kw_only=True)
class Order:
    """The child is told to stop in one of the ways of Directive."""

    directive: Directive


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a rank needs to know to take part."""

    assignment: str  # of the attempt, encoded
    pictures: str  # the category's folder
    meeting: str  # the file at which the ranks meet
    device: str  # cpu, or cuda: then each rank has the card of its number
    threads: int
    autocast: bool
    state: str | None  # the folder of the checkpoint that the attempt goes on from
    done: Sequence[str]
    step: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What rank 0 does about a stage: fit it, take it from a folder, or know it from the checkpoint."""

    stage: str
    fit: bool
    found: str | None = None


FromChild = Report | CheckpointMade | StageMade | Note | Done | Failed
ToChild = Deadline | Order
Message = TypeVar("Message")

_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (Report, CheckpointMade, StageMade, Note, Done, Failed, Deadline, Order, Assignment)
}


def encode(message: object) -> bytes:
    """Return a message as one line of JSON."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}).encode() + b"\n"  # type: ignore[call-overload]


def decode(line: bytes) -> object:
    """Return the message a line stands for; raise ValueError for anything else."""
    try:
        value = json.loads(line)
    except RecursionError:
        value = None
    named = value.pop("type", "") if isinstance(value, dict) else None
    kind = _TYPES.get(named) if isinstance(named, str) else None
    if kind is None:
        raise ValueError(f"not a message: {line[:80]!r}")
    if kind is Order:
        return Order(directive=Directive(value["directive"]))
    if kind is Failed:
        return Failed(failure=FailureClass(value["failure"]), error=value["error"])
    if kind is Assignment:
        value["lineage"], value["roots"] = tuple(value["lineage"]), tuple(value["roots"])
        value["devices"] = tuple(Gpu(**gpu) for gpu in value["devices"])
    return kind(**value)
