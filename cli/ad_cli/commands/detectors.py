"""`adctl detectors`: which detectors there are, and what can be set."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_platform.errors import StoreDown

if TYPE_CHECKING:
    from ad_platform.catalogue import Catalogue, DetectorEntry

app = typer.Typer(no_args_is_help=True, help="The algorithms.")


@app.command("list")
def list_detectors(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List the known detectors."""
    catalogue = _catalogue()
    entries = [catalogue.entries[name] for name in catalogue.names()]
    if out.as_json():
        out.data([entry.to_json() for entry in entries])
    elif out.quiet():
        for entry in entries:
            out.text(entry.name)
    else:
        rows = [
            (
                entry.name,
                entry.family or "-",
                entry.source or "-",
                "yes" if entry.supervised else "no",
                entry.summary,
                ",".join(entry.preset_names),
            )
            for entry in entries
        ]
        out.table(
            ("NAME", "FAMILY", "PAPER", "SUPERVISED", "SUMMARY", "PRESETS"),
            rows,
            empty="none is known; workers publish theirs: adctl up",
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A detector.")],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show what can be set, in which range, and each preset."""
    entry = _catalogue().entry(name)
    if out.as_json():
        out.data(entry.to_json())
    else:
        _print(entry)


def _catalogue() -> "Catalogue":
    from ad_platform import catalogue

    try:
        with session.client() as client:
            return client.catalogue()
    except StoreDown as error:
        out.note(f"{error}; shown is what ships with adctl")
        return catalogue.load()


def _print(entry: "DetectorEntry") -> None:
    from ad_platform.config_text import describe

    out.text(f"{entry.name}  {entry.summary}".rstrip())
    if entry.family:
        learns = "normal and anomalous pictures" if entry.supervised else "normal pictures"
        out.text(f"family: {entry.family}; learns from {learns}")
    if entry.paper:
        out.text("paper: " + ", ".join(str(value) for value in entry.paper.values()))
    if entry.cost:
        out.text(f"cost: {entry.cost}")
    if entry.stages:
        out.text("stages: " + ", ".join(f"{stage.name} (v{stage.version})" for stage in entry.stages))
    if entry.parallel:
        out.text(f"parallel: {', '.join(entry.parallel)} on as many cards as --gpus says")
    for preset, published in sorted(entry.published.items()):
        known = ", ".join(sorted(published.categories))
        out.text(f"preset {preset}: by category, nothing held out; for {known}")
        out.text(f"  from {published.source}")
    if entry.no_export:
        out.text(f"no export: {entry.no_export}")
    if entry.no_attack:
        out.text(f"no attack: {entry.no_attack}")
    presets = entry.preset_names
    rows = []
    for name, schema in entry.fields.items():
        values = [_value(entry, preset, name) for preset in presets]
        default = _word(schema.get("default", "-"))
        rows.append((name, *values, default, describe(schema), str(schema.get("description", ""))))
    marked = [f"{preset}*" if preset == entry.default_preset else preset for preset in presets]
    out.text("")
    out.table(("SETTING", *marked, "DEFAULT", "RANGE", "MEANING"), rows)


def _value(entry: "DetectorEntry", preset: str, name: str) -> str:
    """Return what a preset sets, in words where that depends on the category."""
    if preset not in entry.published:
        return _word(entry.presets[preset].get(name, "-"))
    published = entry.published[preset]
    if any(name in values for values in published.categories.values()):
        return "by category"
    return _word(published.base.get(name, "-"))


def _word(value: object) -> str:
    """Return a value as one would type it."""
    return "none" if value is None else str(value)
