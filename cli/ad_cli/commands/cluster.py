"""`adctl cluster`: the files of a cluster, with secrets of its own, and what its other hosts need."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out
from ad_platform.errors import InvalidData, InvalidRequest

app = typer.Typer(no_args_is_help=True, help="The files that a cluster is started from.")

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of compose.yaml.", show_default=False)
]


@app.command()
def init(
    folder: Folder = Path(),
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Start a worker with GPUs on this host.", show_default=False)
    ] = False,
    host: Annotated[
        str,
        typer.Option(metavar="NAME", help="How other hosts and browsers call this one.", show_default=False),
    ] = "",
    data: Annotated[
        str, typer.Option(metavar="DIR", help="The folder of images on this host.", show_default=False)
    ] = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Write .env anew, keeping what it says.", show_default=False),
    ] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="As --force, but with other secrets.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make a .env with fresh secrets, and files for compose.

    Files that are there stay as they are. Nobody but you can read .env, and no secret is printed. To have
    changed passwords count, see docs/deploy.md.
    """
    from ad_platform.cluster import dotenv, recipes

    place = _folder(folder, make=True)
    env = place / dotenv.NAME
    again = force or rotate
    known = dotenv.read(place) if again and env.exists() else {}
    chosen = {"PUBLIC_HOST": _plain(host), "DATA": data, "COMPOSE_PROFILES": "gpu" if gpu else ""}
    filled = dotenv.fill(
        (recipes.source() / recipes.EXAMPLE).read_text(),
        known,
        {name: value for name, value in chosen.items() if value},
        rotate=rotate,
    )
    dotenv.write_private(env, filled.text, replace=again)
    written = recipes.write(place)
    if out.as_json():
        found = {"fresh": filled.fresh, "kept": filled.kept, "made": written.made, "other": written.other}
        out.data({"env": str(env), **{name: list(each) for name, each in found.items()}})
        return
    out.note(f"{env}: {len(filled.fresh)} fresh secrets, {len(filled.kept)} kept; only you can read it")
    if written.made:
        out.note(f"beside it now: {', '.join(written.made)}")
    if written.other:
        out.note(f"left as they are, though this adctl's are others: {', '.join(written.other)}")
    if not recipes.is_checkout(place) and not list(place.glob("adctl-*.whl")):
        out.note(f"images are built from a wheel: put adctl's into {place}, by: pip download --no-deps adctl")
    out.note("start it: docker compose up --build --wait")


@app.command("env")
def env_files(
    folder: Folder = Path(),
    host: Annotated[
        str,
        typer.Option(metavar="NAME", help="How the others call this host.", show_default="that of .env"),
    ] = "",
    owner: Annotated[
        bool,
        typer.Option("--owner", help="Write owner.env too, for: adctl migrate.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Write client.env and worker.env, for other hosts.

    They hold passwords: nobody but you can read them, and nothing of them is printed.
    """
    from ad_platform.cluster import dotenv, hosts

    place = _folder(folder, make=False)
    known = dotenv.read(place)
    name = _plain(host) or known.get("PUBLIC_HOST") or "localhost"
    sides = (*hosts.SIDES, hosts.OWNER) if owner else hosts.SIDES
    texts = {side: hosts.lines(side, known, name) for side in sides}
    for side, text in texts.items():
        dotenv.write_private(place / side, text, replace=True)
    if out.as_json():
        out.data({"files": [str(place / side) for side in texts], "host": name})
    elif out.quiet():
        for side in texts:
            out.text(str(place / side))
    else:
        named = " and ".join(str(place / side) for side in texts)
        out.note(f"{named} lead to {name}; only you can read them")


def _folder(folder: Path, *, make: bool) -> Path:
    place = folder.expanduser().absolute()
    if place.exists() and not place.is_dir():
        raise InvalidData(f"{place} is a file, and a folder is wanted")
    if make:
        place.mkdir(parents=True, exist_ok=True)
    return place


def _plain(host: str) -> str:
    if any(sign in host for sign in "/@: '\"$"):
        raise InvalidRequest(
            f"'{host}' is no name of a host, such as gpu-1 or 10.0.0.7: without port or path"
        )
    return host
