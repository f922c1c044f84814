"""Addresses as they may be shown: without the passwords and keys they hold."""

import re
from urllib.parse import parse_qsl, quote, urlsplit

HIDDEN = "***"
SECRET = re.compile(r"pass|secret|token|key|credential|sig", re.IGNORECASE)  # names in a query
_PLAIN = '/:"@'  # of a query's values, which are JSON here
_QUERY = re.compile(r"\?[\w.~-]+=")
_ENDS = re.compile(r"[/?#]")  # what ends the part of an address that names account, host and port


def shown(address: str) -> str:
    """Return an address with its password, and every secret of its query, as ***."""
    if "://" not in address:
        return address
    scheme, _, rest = address.partition("://")
    account, after = parted(rest)
    name, colon, _ = account.partition(":")
    kept = f"{name}{colon}{HIDDEN if colon else ''}@" if account else ""
    try:
        parts = urlsplit(f"any://{after}")  # a value of a query may have a quote before its scheme
    except ValueError:  # no address at all: nobody knows which part of it is secret
        return f"{scheme}://{HIDDEN}"
    query = "&".join(
        f"{name}={HIDDEN if SECRET.search(name) else quote(shown(value), safe=_PLAIN)}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    head = f"{scheme}://{kept}{parts.netloc}{parts.path}"
    return f"{head}?{query}" if query else head


def parted(rest: str) -> tuple[str, str]:
    """Return the account of an address, without its scheme, and what comes after.

    A password in which somebody left a "/", "?", "#" or "@" as it is makes an address that nobody can reach,
    and whose errors show it: it is taken whole.
    """
    head = _ENDS.split(rest, maxsplit=1)[0]
    name, colon, port = head.partition(":")
    if "@" in head:
        part = _QUERY.split(rest, maxsplit=1)[0] if colon and "@" not in name else head
    elif "@" in rest and colon and not port.isdigit():
        part = rest
    else:
        return "", rest
    account = part.rpartition("@")[0]
    return account, rest[len(account) + 1 :]
