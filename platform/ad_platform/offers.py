"""What workers have to give, as they report it: ever, with nothing of their own running, and right now."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from ad_platform.devices import Devices
from ad_platform.records import Capabilities, Job, Room, WorkerRecord
from ad_platform.specs import Json

LEFT = "left"  # in what a worker tells with each beat: jobs that it leaves to newer ones
UNTOLD = 2**31 - 1  # of what a worker says nothing about it may have as much as anybody can ask for


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process of somebody else that holds memory of a card."""

    pid: int
    name: str = ""  # empty where the system does not tell
    user: str = ""
    mb: int = 0

    @property
    def words(self) -> str:
        """Return what it is called: "python (pid 17, user ann, 40960 MB)"."""
        user = f", user {self.user}" if self.user else ""
        much = f", {self.mb} MB" if self.mb else ""
        return f"{self.name or 'a process'} (pid {self.pid}{user}{much})"


@dataclass(frozen=True, kw_only=True)
class CardNow:
    """A card of a worker as it stood at its last look."""

    uuid: str
    name: str
    memory_mb: int  # all of it
    room: Room
    holders: tuple[Holder, ...] = ()
    job: str = ""  # of this worker, that it is given to
    problem: str = ""  # why nothing is known of it

    @property
    def words(self) -> str:
        """Return what it is called and who holds it."""
        called = f"{self.name} {self.uuid}".strip()
        if self.problem:
            return f"{called} tells nothing: {self.problem}"
        who = ", ".join(holder.words for holder in self.holders) or "processes that cannot be seen from here"
        return f"{called} has {self.room.mb} of {self.memory_mb} MB free, the rest is held by {who}"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a worker tells with each beat."""

    cards: tuple[CardNow, ...] = field(default=())
    memory_mb: int | None = None  # of the machine, that is free

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON values."""
        cards = [
            cast("Json", asdict(card) | {"holders": [asdict(each) for each in card.holders]})
            for card in self.cards
        ]
        return {"cards": cards, "memory_mb": self.memory_mb}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Load":
        """Read what `to_json` gave; what is none tells nothing."""
        cards, memory = value.get("cards"), value.get("memory_mb")
        listed = cards if isinstance(cards, list) else []
        return cls(
            cards=tuple(_card(each) for each in listed if isinstance(each, dict)),
            memory_mb=memory if isinstance(memory, int) else None,
        )


def _card(value: Mapping[str, Json]) -> CardNow:
    """Read a card; what a newer worker tells besides is left out."""
    known = _known(CardNow, value)
    holders, room = known.pop("holders", ()), known.pop("room", None)
    return CardNow(
        **{"uuid": "", "name": "", "memory_mb": 0, **known},  # type: ignore[arg-type]
        room=Room(**{"mb": 0, **_known(Room, room)}) if isinstance(room, dict) else Room(0, roomy=False),  # type: ignore[arg-type]
        holders=tuple(
            Holder(**{"pid": 0, **_known(Holder, each)})  # type: ignore[arg-type]
            for each in (holders if isinstance(holders, list) else ())
            if isinstance(each, dict)
        ),
    )


def _known(kind: type[CardNow] | type[Room] | type[Holder], value: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value[name] for name in kind.__dataclass_fields__ if name in value}


def ever(worker: WorkerRecord) -> Capabilities:
    """Return what a worker could take on if nothing ran on its machine."""
    return Capabilities(
        worker=worker.id,
        node=worker.node,
        detectors=frozenset(worker.detectors),
        queues=frozenset(worker.queues),
        cards=_all_cards(worker),
        memory_mb=_memory(worker),
        left=frozenset(left_by(worker)),
    )


def left_by(worker: WorkerRecord) -> Mapping[str, str]:
    """Return the jobs that a worker leaves to newer ones, and what it does not understand of each."""
    told = worker.load.get(LEFT)
    return {job: str(why) for job, why in told.items()} if isinstance(told, dict) else {}


def idle(worker: WorkerRecord) -> Capabilities:
    """Return what a worker could take on if nothing of its own ran."""
    cards = Load.from_json(worker.load).cards
    rooms = tuple(card.room for card in cards) if cards else _all_cards(worker)
    return replace(ever(worker), cards=rooms)


def free(worker: WorkerRecord) -> Capabilities | None:
    """Return what the free slots of a worker would ask for jobs with; None if it has none."""
    left = worker.slots - worker.busy
    if left <= 0:
        return None
    load, whole = Load.from_json(worker.load), idle(worker)
    if load.memory_mb is not None:
        whole = replace(whole, memory_mb=min(whole.memory_mb, load.memory_mb))
    if not whole.cards:
        return whole
    cards = load.cards
    # A card whose job has just ended may still be told as taken, so those come last.
    rooms = [card.room for card in sorted(cards, key=lambda card: (card.job != "", -card.room.mb))]
    taken = tuple((rooms or list(whole.cards))[:left])
    return replace(whole, cards=taken, whole=whole.cards if len(taken) < len(whole.cards) else ())


def held_cards(worker: WorkerRecord) -> list[CardNow]:
    """Return the cards of a worker that other people's processes keep from jobs, for all that it has told."""
    cards = Load.from_json(worker.load).cards
    return [card for card in cards if not card.job and (card.holders or card.problem or not card.room.roomy)]


def has_room(job: Job, can: Capabilities) -> bool:
    """Say whether a job fits into cards and memory, by the conditions of a lease."""
    if not can.cards:
        return job.gpus == 0 and job.memory_mb <= can.memory_mb
    if job.spec.cpu_only:
        return job.memory_mb <= can.memory_mb
    return placed(job.gpus, job.memory_mb, can.cards) is not None


def placed(gpus: int, memory_mb: int, rooms: Sequence[Room], *, cpu_only: bool = False) -> list[int] | None:
    """Return the places of the cards that a job should be given, those that just do; None if they do not."""
    fitting = [
        place
        for place, room in enumerate(rooms)
        if cpu_only or (room.mb >= memory_mb if memory_mb else room.roomy)
    ]
    fitting.sort(key=lambda place: (rooms[place].mb, rooms[place].roomy))
    count = max(gpus, 1)
    return fitting[:count] if len(fitting) >= count else None


def _all_cards(worker: WorkerRecord) -> tuple[Room, ...]:
    """Return the cards that its slots have, with all their memory."""
    slots = worker.facts.get("devices")
    if not isinstance(slots, list):
        return (Room(UNTOLD),) * worker.slots
    count = sum(device != "cpu" for device in slots)
    memory = [card.memory_mb or UNTOLD for card in Devices.from_facts(worker.facts).usable]
    return tuple(Room(mb) for mb in (memory + [UNTOLD] * count)[:count])


def _memory(worker: WorkerRecord) -> int:
    memory = worker.facts.get("memory_mb")
    return memory if isinstance(memory, int) else UNTOLD
