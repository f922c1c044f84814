"""What workers can compute on, as they report it, and what that means for a job that asks for a device."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeAlias, cast

from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.records import WorkerRecord
from ad_platform.specs import Json

Kind: TypeAlias = Literal["cpu", "cuda", "mps", "unknown"]

MOST = 3  # workers that are named one by one


@dataclass(frozen=True, kw_only=True)
class Card:
    """A graphics card for CUDA."""

    name: str
    uuid: str = ""
    memory_mb: int = 0
    capability: str = ""  # its compute capability, as "9.0"
    problem: str = ""  # why it cannot be used and what would help; empty when it can


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What one machine can compute on."""

    cards: tuple[Card, ...] = ()
    metal: bool = False
    torch: str = ""  # its version; empty when it is not installed
    torch_cuda: str = ""  # the CUDA it was built for; empty for none
    driver: str = ""  # the NVIDIA driver's version
    driver_cuda: str = ""  # the newest CUDA that driver knows

    @property
    def usable(self) -> tuple[Card, ...]:
        """Return the cards that can be used."""
        return tuple(card for card in self.cards if not card.problem)

    def to_json(self) -> dict[str, Json]:
        """Return this as part of a worker's facts."""
        value = cast("dict[str, Json]", asdict(self))
        return {**value, "cards": [asdict(card) for card in self.cards]}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Json]) -> "Devices":
        """Read what a worker reported; one that says nothing of cards has those its slots are named after."""
        cards = facts.get("cards")
        if not isinstance(cards, list):
            slots = facts.get("devices")
            names = [str(name) for name in slots if name != "cpu"] if isinstance(slots, list) else []
            return cls(cards=tuple(Card(name=name) for name in names))
        known = {field.name for field in fields(Card)}
        read = [
            Card(**{name: value for name, value in card.items() if name in known})  # type: ignore[arg-type]
            for card in cards
            if isinstance(card, Mapping)
        ]
        words = {
            name: str(facts.get(name) or "") for name in ("torch", "torch_cuda", "driver", "driver_cuda")
        }
        return cls(cards=tuple(read), metal=facts.get("metal") is True, **words)


@dataclass(frozen=True, kw_only=True)
class DeviceChoice:
    """What a job will compute on, as far as can be said now, and why."""

    kind: Kind
    words: str  # as "cpu (worker here-1 on node here has no CUDA card)"


def choice(device: str, roster: Sequence[WorkerRecord]) -> DeviceChoice:
    """Say what a job that asks for a device will compute on, and why.

    `roster` holds the workers that could take it: of its queue, with its detector; only those online count.
    Raises InvalidRequest when they all lack what is asked for, or have a CUDA card that cannot be used while
    the CPU was not asked for, and InvalidValue for no device.
    """
    wish = device.strip().lower()
    indices = _indices(wish)
    online = [worker for worker in roster if worker.state == "online"]
    if wish == "cpu":
        return DeviceChoice(kind="cpu", words="cpu (asked for)")
    if not online:
        if wish == "auto":
            return DeviceChoice(kind="unknown", words="unknown until a worker is online")
        kind: Kind = "mps" if wish == "mps" else "cuda"
        return DeviceChoice(kind=kind, words=f"{kind} (asked for; no worker is online to say if it has one)")
    if wish == "mps":
        return _metal(online)
    if wish == "auto":
        return _best(online)
    return _cuda(wish, indices, online)


def _indices(wish: str) -> tuple[int, ...]:
    """Return the card indices a wish names: none for auto, cpu and mps; the first for cuda."""
    if wish in {"auto", "cpu", "mps"}:
        return ()
    if wish == "cuda":
        return (0,)
    if not re.fullmatch(r"(cuda:)?\d+|\d+( *, *\d+)*", wish):
        raise InvalidValue(f"device must be auto, cpu, mps, cuda or indices such as 0,1, not '{wish}'")
    return tuple(int(part) for part in wish.removeprefix("cuda:").split(","))


def _metal(online: Sequence[WorkerRecord]) -> DeviceChoice:
    having = [worker for worker in online if Devices.from_facts(worker.facts).metal]
    if not having:
        raise InvalidRequest(
            f"{_lacking(online, 'Metal (mps)')}; use --device auto, or start a worker where there is one"
        )
    return DeviceChoice(kind="mps", words=f"mps (Metal on {_nodes(having)})")


def _best(online: Sequence[WorkerRecord]) -> DeviceChoice:
    """Say what `auto` comes to: each worker takes the best that it has, and any of them may take the job."""
    broken = [worker for worker in online if _unusable(worker)]
    if len(broken) == len(online):
        raise InvalidRequest(_refusal(broken[0]))
    cuda = [worker for worker in online if _usable(worker)]
    rest = [worker for worker in online if worker not in cuda and worker not in broken]
    metal = [worker for worker in rest if Devices.from_facts(worker.facts).metal]
    plain = [worker for worker in rest if worker not in metal]
    offers: list[tuple[Kind, str]] = []
    offers += [("cuda", _names(cuda))] if cuda else []
    offers += [("mps", f"Metal on {_nodes(metal)}")] if metal else []
    offers += [("cpu", _lacking(plain, "a CUDA card"))] if plain else []
    kinds = " or ".join(kind for kind, _ in offers)
    why = "; ".join(words for _, words in offers)
    if broken:
        why += f"; but {_trouble(broken[0])}"
    if len(offers) > 1:
        return DeviceChoice(kind="unknown", words=f"{kinds}, by which worker takes it ({why})")
    return DeviceChoice(kind=offers[0][0], words=f"{kinds} ({why})")


def _cuda(wish: str, indices: tuple[int, ...], online: Sequence[WorkerRecord]) -> DeviceChoice:
    having = [worker for worker in online if len(_usable(worker)) > max(indices)]
    if having:
        several = "; a job computes on one card" if len(indices) > 1 else ""
        return DeviceChoice(kind="cuda", words=f"cuda ({_names(having)}{several})")
    broken = [worker for worker in online if _unusable(worker)]
    if broken:
        raise InvalidRequest(_refusal(broken[0]))
    what = "a CUDA card" if max(indices) == 0 else f"CUDA card {max(indices)}"
    raise InvalidRequest(
        f"device '{wish}': {_lacking(online, what)}; use --device auto or cpu, or start a worker where there "
        "is one"
    )


def _usable(worker: WorkerRecord) -> tuple[Card, ...]:
    return Devices.from_facts(worker.facts).usable


def _unusable(worker: WorkerRecord) -> tuple[Card, ...]:
    """Return the cards of a worker that has none but unusable ones."""
    found = Devices.from_facts(worker.facts)
    return () if found.usable else found.cards


def _refusal(worker: WorkerRecord) -> str:
    return f"{_trouble(worker)}; to compute without it: --device cpu"


def _trouble(worker: WorkerRecord) -> str:
    card = _unusable(worker)[0]
    return f"the {card.name} on node {worker.node} cannot be used: {card.problem}"


def _lacking(workers: Sequence[WorkerRecord], what: str) -> str:
    if len(workers) == 1:
        return f"worker {workers[0].id} on node {workers[0].node} has no {what.removeprefix('a ')}"
    return f"none of the workers {_listed([worker.id for worker in workers])} has {what}"


def _names(workers: Sequence[WorkerRecord]) -> str:
    return _listed([f"{_usable(worker)[0].name} on node {worker.node}" for worker in workers])


def _nodes(workers: Sequence[WorkerRecord]) -> str:
    return _listed([f"node {worker.node}" for worker in workers])


def _listed(items: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(items))
    more = f" and {len(distinct) - MOST} more" if len(distinct) > MOST else ""
    return ", ".join(distinct[:MOST]) + more
