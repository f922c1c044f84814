"""What an evaluation is asked to try against the model, written as "linf:eps=4/255,steps=20"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ad_platform.errors import InvalidValue
from ad_platform.naming import match
from ad_platform.specs import CERTIFIED, AttackAsk

KINDS = {  # and what is usual: budgets are of images in 0..1
    "linf": "every value of a picture is changed by at most eps",
    "l2": "the changes of all values together are at most eps long",
    CERTIFIED: "bounds that no change of at most eps, as in l2, can break",
}
USUAL = {"linf": "2/255", "l2": "0.2", CERTIFIED: "0.1"}
ALL = "all"
NUMBER = re.compile(r"\d+(\.\d*)?([eE]-?\d+)?|\.\d+")
MOST = 8  # attacks of one evaluation


def read(texts: Sequence[str]) -> tuple[AttackAsk, ...]:
    """Read attacks as they are typed; "all" is each kind as usual. Raises UnknownName or InvalidValue."""
    wanted = [each for text in texts for each in (KINDS if text.strip().lower() == ALL else [text])]
    if len(wanted) > MOST:
        raise InvalidValue(f"an evaluation tries at most {MOST} attacks, not {len(wanted)}; submit several")
    found = [_read(text) for text in wanted]
    named: list[AttackAsk] = []
    for each in found:
        before = sum(other.kind == each.kind for other in named)
        if any(_alike(each, other) for other in named):
            raise InvalidValue(f"the attack {each.words} is asked for twice; give it once")
        name = each.kind if before == 0 else f"{each.kind}-{before + 1}"
        named.append(replace(each, name=name))
    return tuple(named)


def _read(text: str) -> AttackAsk:
    head, _, tail = text.strip().partition(":")
    kind = match("attack", head.strip(), [*KINDS, ALL])
    if kind == ALL:
        raise InvalidValue("the attack all takes no options; name linf, l2 and certified each with its own")
    options = _OPTIONS[kind == CERTIFIED]
    values: dict[str, float | int] = {"eps": _number("eps", USUAL[kind])}
    for part in filter(None, (each.strip() for each in tail.split(","))):
        key, sign, value = (each.strip() for each in part.partition("="))
        if not sign:
            raise InvalidValue(f"an option of an attack is written {kind}:NAME=VALUE, not '{part}'")
        option = match(f"option of attack {kind}", key, options)
        values[option] = options[option](f"attack {kind}: {option}", value)
    return AttackAsk(name=kind, kind=kind, **values)  # type: ignore[arg-type]


def _number(what: str, text: str) -> float:
    """Read a number over 0, or a fraction of two such as 2/255."""
    parts = [part.strip() for part in text.split("/")]
    if len(parts) <= 2 and all(NUMBER.fullmatch(part) for part in parts):
        over, under = float(parts[0]), float(parts[1]) if len(parts) == 2 else 1.0
        if 0.0 < over < 1e6 and 0.0 < under < 1e6 and over / under <= 1000.0:
            return over / under
    raise InvalidValue(f"{what} must be a number over 0 and at most 1000, such as 0.2 or 2/255, not '{text}'")


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(what: str, text: str) -> int:
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        raise InvalidValue(f"{what} must be a whole number from {low} to {high}, not '{text}'")

    return read


_OPTIONS: Mapping[bool, Mapping[str, Callable[[str, str], float | int]]] = {
    False: {"eps": _number, "steps": _whole(1, 10_000), "eot": _whole(1, 1000), "soft": _number},
    True: {"eps": _number, "sigma": _number, "draws": _whole(10, 100_000)},
}


def _alike(one: AttackAsk, other: AttackAsk) -> bool:
    return replace(one, name=other.name) == other
