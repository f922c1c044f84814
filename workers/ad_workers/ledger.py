"""Which slots of a worker are free and which job has which: a job gets all the cards it asks for, or none."""

import threading
from collections.abc import Callable, Sequence

import psutil

from ad_platform import offers
from ad_platform.offers import CardNow, Load
from ad_platform.records import Job, Lease, Room
from ad_workers.gpu import Gpu
from ad_workers.occupancy import Watch

Holding = tuple[str, int]  # a job and the attempt that has the slots


class Ledger:
    """The slots of one worker, each with its card or with none; safe to use from several threads."""

    def __init__(
        self,
        devices: Sequence[Gpu | None],
        watch: Watch | None = None,
        free_mb: Callable[[], int] = lambda: psutil.virtual_memory().available >> 20,
        all_mb: Callable[[], int] = lambda: psutil.virtual_memory().total >> 20,
    ) -> None:
        self.devices = tuple(devices)
        self._watch = watch or Watch()
        self._free_mb, self._all_mb = free_mb, all_mb
        self._lock = threading.Lock()
        self._free = list(self.devices)
        self._held: dict[Holding, tuple[Job, tuple[Gpu | None, ...]]] = {}

    @property
    def idle(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free)

    @property
    def held(self) -> dict[str, tuple[Gpu | None, ...]]:
        """Return the slots of each running job, by its id; of one with two attempts here, those of the newer.

        An attempt that was overtaken has its slots until its child is gone.
        """
        with self._lock:
            return {job_id: self._held[job_id, attempt][1] for job_id, attempt in sorted(self._held)}

    def cards(self) -> list[CardNow]:
        """Return how each card stands now, free or not; none where there is none."""
        with self._lock:
            held = [(job_id, slots) for (job_id, _), (_, slots) in self._held.items()]
        given = {slot.uuid: job_id for job_id, slots in held for slot in slots if slot}
        return self._watch.look([slot for slot in self.devices if slot is not None], given)

    def memory_mb(self) -> int:
        """Return the memory of the machine that is free and not promised to a job that runs on the CPU."""
        with self._lock:
            held = [(job, slots) for job, slots in self._held.values()]
        promised = sum(job.memory_mb for job, slots in held if job.spec.cpu_only or slots[0] is None)
        return max(0, min(self._free_mb(), self._all_mb() - promised))

    def load(self) -> Load:
        """Return what a beat tells of this worker."""
        return Load(cards=tuple(self.cards()), memory_mb=self.memory_mb())

    def rooms(self, cards: Sequence[CardNow]) -> tuple[Room, ...]:
        """Return what the free ones of these cards have for a job."""
        return tuple(card.room for card in cards if not card.job)

    def take(self, lease: Lease, cards: Sequence[CardNow]) -> tuple[Gpu | None, ...]:
        """Give a leased job its slots, by what the lease was told of the cards, and return them.

        The cards that just do: the bigger ones are left for those who need them.
        """
        job = lease.job
        with self._lock:
            free = [card for card in cards if not card.job]
            taken = tuple(self._chosen(job, free)) if free else (self._free[0],)
            for slot in taken:
                self._free.remove(slot)
            self._held[lease.job_id, lease.attempt] = (job, taken)
        return taken

    def give_back(self, lease: Lease) -> None:
        """Free the slots of an attempt that has ended."""
        with self._lock:
            _, slots = self._held.pop((lease.job_id, lease.attempt))
            self._free.extend(slots)

    def _chosen(self, job: Job, free: Sequence[CardNow]) -> list[Gpu]:
        places = offers.placed(
            job.gpus, job.memory_mb, [card.room for card in free], cpu_only=job.spec.cpu_only
        )
        assert places is not None, f"job {job.id} was leased without the cards that it asks for"
        wanted = {free[place].uuid for place in places}
        return [slot for slot in self.devices if slot is not None and slot.uuid in wanted]
