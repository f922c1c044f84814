"""Where a person finds MLflow's pages: those of this machine, or a server's."""

from urllib.parse import urlsplit

from ad_platform.addresses import shown
from ad_platform.errors import InvalidRequest, Unavailable
from ad_platform.settings import Settings
from ad_platform.stack import lifecycle, ports
from ad_platform.stack.places import Places
from ad_platform.stack.services import embeds_tracking


def address(settings: Settings, run_id: str | None = None) -> str:
    """Return the address of the pages, or of one run's page, for a browser.

    Raises Unavailable while those of this machine do not run, InvalidRequest for an MLflow without pages.
    """
    base = _of_this_machine(settings) if embeds_tracking(settings) else _of_a_server(settings.tracking_uri)
    return f"{base}/#/runs/{run_id}" if run_id else base


def _of_this_machine(settings: Settings) -> str:
    running = {one.name: one for one in lifecycle.states(settings) if one.pid}
    if not running:
        raise Unavailable("MLflow's pages do not run; start them: adctl up")
    port = ports.kept(Places(settings))
    if "mlflow" not in running or port is None:
        raise Unavailable(
            "the services run without MLflow's pages (adctl up --no-ui, or they have fallen); start them: "
            "adctl down, then adctl up"
        )
    return f"http://127.0.0.1:{port}"


def _of_a_server(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        raise InvalidRequest(f"MLFLOW_TRACKING_URI is {shown(uri)}, which has no pages that adctl knows of")
    # Without the account: browsers ask for it, and it should stand in no history.
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
