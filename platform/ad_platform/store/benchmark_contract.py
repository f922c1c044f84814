"""What the store promises of benchmarks; the rules at the top of `contract.py` hold here too."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Unpack

from ad_platform.records import Benchmark, Job
from ad_platform.requests import GroupFilter
from ad_platform.specs import Json, Submission


class Benchmarks(ABC):
    """Models compared on the same categories; how one stands is read from its jobs."""

    @abstractmethod
    def create(self, benchmark: Benchmark, submissions: Sequence[Submission]) -> tuple[Benchmark, list[Job]]:
        """Remember a benchmark together with all of its jobs, in one transaction, and return both.

        One whose key, or else whose name, is known already stands as it is: it is returned without jobs, and
        nothing is submitted.
        """

    @abstractmethod
    def get(self, name: str) -> Benchmark:
        """Return a benchmark by name, id or the beginning of its id; raise UnknownName or AmbiguousId."""

    @abstractmethod
    def of_key(self, key: str) -> Benchmark | None:
        """Return the benchmark that was submitted under a key, if there is one."""

    @abstractmethod
    def search(self, limit: int = 100) -> list[Benchmark]:
        """Return benchmarks, newest first."""

    @abstractmethod
    def find(self, **wanted: Unpack[GroupFilter]) -> list[Benchmark]:
        """Return the benchmarks that a filter keeps, newest first unless told otherwise."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names of all benchmarks."""

    @abstractmethod
    def settled(self, benchmark_id: str) -> bool:
        """Say whether a benchmark's results are put together, and none of its jobs was submitted since."""

    @abstractmethod
    def to_follow(self) -> list[Benchmark]:
        """Return those whose results are not put together, or of which a job was submitted since."""

    @abstractmethod
    def claim(self, benchmark_id: str, owner: str, seconds: float) -> bool:
        """Take the right to put results together for a while; False if somebody else holds it."""

    @abstractmethod
    def release(self, benchmark_id: str, owner: str) -> None:
        """Give that right back, if still held."""

    @abstractmethod
    def summarise(
        self, benchmark_id: str, owner: str, summary: Mapping[str, Json], seen_seq: int | None = None
    ) -> Benchmark:
        """Keep what a benchmark has come to; with `seen_seq`, its newest job, its results are complete.

        Without, it counts as open. Nothing changes where all is so already. Raises ClaimLost unless `owner`
        holds the claim on the benchmark.
        """

    @abstractmethod
    def unshipped(self) -> list[Benchmark]:
        """Return the benchmarks that the tracking server has not been told everything about."""

    @abstractmethod
    def shipped(self, benchmark: Benchmark, run_id: str) -> None:
        """Note that the tracking server knows a benchmark up to its `version`, and by which run."""
