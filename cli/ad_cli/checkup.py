"""What `adctl doctor` looks at, in the order in which it is told."""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from ad_platform.doctor import places, programs, services, stores
from ad_platform.doctor.findings import Finding, Look, ok, problem, warning
from ad_platform.settings import Settings


def looks(settings: Settings) -> Sequence[tuple[str, Look]]:
    """Return every look with what it is about."""
    from ad_workers import fitness

    computes = find_spec("torch") is not None
    return (
        ("programs", lambda: programs.programs(os.environ)),
        ("devices", fitness.cards),
        ("weights", lambda: fitness.weights(settings, computes=computes)),
        ("data", lambda: pictures(settings)),
        ("home", lambda: places.home(settings)),
        ("sockets", lambda: places.sockets(settings)),
        ("disk", lambda: places.disks(settings)),
        ("services", lambda: services.stack(settings)),
        ("store", lambda: stores.store(settings)),
        ("broker", lambda: services.broker(settings)),
        ("storage", lambda: services.storage(settings)),
        ("mlflow", lambda: services.tracking(settings)),
    )


def pictures(settings: Settings) -> Iterator[Finding]:
    """Say whether the data root is there and its categories can be read."""
    from ad_cli.inventory import inventory

    root = settings.data_root
    if not root.is_dir():
        if os.environ.get("ADCTL_DATA"):
            yield problem("data", f"ADCTL_DATA names {root}, which is no folder", "make it, or correct it")
        else:
            yield ok("data", f"{root} is not there yet; --data DIR names a category's folder anywhere")
        return
    found = inventory(root, ())
    bad = [place for place in found if place.problem]
    if found and len(bad) < len(found):
        yield ok("data", f"{len(found) - len(bad)} categories can be read below {root}")
    elif not found:
        yield warning("data", f"there are no categories below {root}", "adctl data synth, or set ADCTL_DATA")
    for place in bad:
        yield warning("data", place.problem, f"adctl data check {place.path}")
