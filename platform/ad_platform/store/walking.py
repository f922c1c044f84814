"""Which index a search walks: that of the filter which usually keeps the fewest jobs.

It is decided here and not by the databases: SQLite keeps no statistics, and those of PostgreSQL know nothing
of how filters hang together, so that one which keeps nothing would have it read every job.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from sqlalchemy import ColumnElement, FromClause, and_, select

from ad_platform.requests import JobFilter
from ad_platform.states import JobKind, JobState
from ad_platform.store.checking import like
from ad_platform.store.facets import facets, kept, lower, tags
from ad_platform.store.tables import edges, jobs

Condition = ColumnElement[bool]

_LAST = "\U0010ffff"  # no character comes after it
_USUAL_QUEUE = "default"


@dataclass(frozen=True, kw_only=True)
class Walk:
    """An index to walk: the rows of a table under each of some conditions."""

    of: FromClause
    branches: Sequence[tuple[Condition, ...]] = ((),)
    checked: frozenset[str] = frozenset()  # the filters that it takes care of, a tag as "tag:<name>"
    lead: Condition | None = None  # what all branches have in common
    # Each branch meets the jobs in the order of their submission. Where it is easy to sort what it keeps, no
    # order is asked for: a database might look for it along every job.
    in_order: bool = True
    few: bool = False  # what it keeps is little, a thousand jobs perhaps
    most: bool = False  # what it keeps may be nearly everything

    @property
    def seq(self) -> ColumnElement[int]:
        """Return what it is ordered by."""
        if self.of is facets and self.narrows:
            return facets.c.place
        return self.of.c.seq

    @property
    def narrows(self) -> bool:
        """Whether it leaves out any job."""
        return bool(self.branches[0])


def walk_of(wanted: JobFilter) -> Walk:
    """Return the walk of a search."""
    return next(walk for make in _BEST_FIRST if (walk := make(wanted)) is not None)


def _needs(wanted: JobFilter) -> Walk | None:
    needed = wanted.get("needs")
    if needed is None:
        return None
    needing = jobs.c.id.in_(select(edges.c.job_id).where(edges.c.need_id == needed))
    return Walk(of=jobs, branches=((needing,),), checked=frozenset({"needs"}), in_order=False, few=True)


def _worker(wanted: JobFilter) -> Walk | None:
    worker = wanted.get("worker")
    if worker is None:
        return None
    same = (jobs.c.worker == worker,)
    return Walk(of=jobs, branches=(same,), checked=frozenset({"worker"}))


def _exact(name: str, text: str | None, *, most: bool = False) -> Walk | None:
    if text is None:
        return None
    same = facets.c[name] == text
    return Walk(of=facets, branches=((same,),), checked=frozenset({name}), lead=same, few=not most, most=most)


def _group(wanted: JobFilter) -> Walk | None:
    group = wanted.get("group")
    return None if group is None else _exact("group", kept(group))


def _name(wanted: JobFilter) -> Walk | None:
    name = wanted.get("name")
    return None if name is None or "*" in name else _exact("name", lower(name))


def _rare_queue(wanted: JobFilter) -> Walk | None:
    queue = wanted.get("queue")
    return None if queue in (None, _USUAL_QUEUE) else _exact("queue", kept(str(queue)))


def _usual_queue(wanted: JobFilter) -> Walk | None:
    return _exact("queue", wanted.get("queue"), most=True)


def _tag(wanted: JobFilter) -> Walk | None:
    for name, value in (wanted.get("tags") or {}).items():
        if value is not None:
            same = (tags.c.name == kept(name), tags.c.value == kept(value))
            checked = frozenset({f"tag:{name}"})
            return Walk(of=tags, branches=(same,), checked=checked, few=True)
    return None


def _any_tag(wanted: JobFilter) -> Walk | None:
    for name in wanted.get("tags") or {}:
        return Walk(of=tags, branches=((tags.c.name == kept(name),),), checked=frozenset({f"tag:{name}"}))
    return None


def _states(
    wanted: JobFilter, among: Callable[[JobState], bool], *, few: bool = False, most: bool = False
) -> Walk | None:
    states = list(dict.fromkeys(wanted.get("states") or ()))
    if not states or not all(map(among, states)):
        return None
    branches = tuple((jobs.c.state == state,) for state in states)
    return Walk(
        of=jobs, branches=branches, checked=frozenset({"states"}), in_order=not few, few=few, most=most
    )


def _live(wanted: JobFilter) -> Walk | None:
    return _states(wanted, lambda state: not state.terminal, few=True)


def _gone_wrong(wanted: JobFilter) -> Walk | None:
    return _states(wanted, lambda state: state is not JobState.SUCCEEDED)


def _any_state(wanted: JobFilter) -> Walk | None:
    return _states(wanted, lambda state: True, most=True)


def _by_kind(lead: Condition | None, name: str, wanted: JobFilter) -> Walk:
    """Return a walk for each kind and owner that may be, since these stand in the index before the seq."""
    kind = wanted.get("kind")
    kinds = list(JobKind) if kind is None else [kind]
    owners = [False] if wanted.get("without_sweeps") else [False, True]
    inner = [(facets.c.kind == one.value, facets.c.owned.is_(owned)) for one, owned in product(kinds, owners)]
    branches = tuple(pair if lead is None else (lead, *pair) for pair in inner)
    checked = frozenset({name, "kind", "without_sweeps"})
    return Walk(of=facets, branches=branches, checked=checked, lead=lead, most=lead is None)


def _category(wanted: JobFilter) -> Walk | None:
    text = wanted.get("category")
    return None if text is None else _by_kind(facets.c.category == lower(text), "category", wanted)


def _user(wanted: JobFilter) -> Walk | None:
    text = wanted.get("user")
    return None if text is None else _by_kind(facets.c.user == kept(text), "user", wanted)


def _detector(wanted: JobFilter) -> Walk | None:
    text = wanted.get("detector")
    return None if text is None else _by_kind(facets.c.detector == lower(text), "detector", wanted)


def _dataset(wanted: JobFilter) -> Walk | None:
    text = wanted.get("dataset")
    return None if text is None else _by_kind(facets.c.dataset == lower(text), "dataset", wanted)


def _kind(wanted: JobFilter) -> Walk | None:
    if wanted.get("kind") is None and not wanted.get("without_sweeps"):
        return None
    return _by_kind(None, "", wanted)


def _pattern(wanted: JobFilter) -> Walk | None:
    """Return a walk along the names: those that begin alike stand together, and all are narrow."""
    name = wanted.get("name")
    if name is None:
        return None
    start = lower(name.partition("*")[0])
    near = [facets.c.name >= start, facets.c.name < start + _LAST] if start else [facets.c.name >= ""]
    lead = and_(*near, like(facets, name))
    return Walk(of=facets, branches=((lead,),), checked=frozenset({"name"}), lead=lead, in_order=False)


def _everything(wanted: JobFilter) -> Walk | None:
    return Walk(of=facets)  # along its primary key


_BEST_FIRST: tuple[Callable[[JobFilter], Walk | None], ...] = (
    *(_needs, _group, _name, _tag, _live, _worker, _category, _user, _gone_wrong, _rare_queue),
    *(_detector, _any_tag, _dataset, _pattern, _kind, _any_state, _usual_queue, _everything),
)
