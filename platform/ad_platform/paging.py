"""Reads what there is many of page by page, only as far as it is looked at."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from ad_platform.requests import GroupFilter

PAGE = 25  # benchmarks are long


class _Group(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def created_at(self) -> float: ...


T = TypeVar("T", bound=_Group)


def paged(find: Callable[..., list[T]], wanted: GroupFilter) -> Iterator[T]:
    """Yield all sweeps or benchmarks that a filter keeps, in the order of the search."""
    whole = wanted.copy()
    whole["limit"] = PAGE
    while True:
        page = find(**whole)
        yield from page
        if len(page) < PAGE:
            return
        whole["beyond"] = (page[-1].created_at, page[-1].name)
