"""Asks an MLflow server one question, without MLflow, to see whether it answers and lets one in."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ad_platform.addresses import shown
from ad_platform.doctor.findings import Finding, ok, problem

PATIENCE = 4.0  # seconds
VERSION = "/version"
QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"


def ask_mlflow(uri: str, environ: Mapping[str, str], patience: float = PATIENCE) -> Finding:
    """Return what came of asking for one experiment, with the account that the environment names."""
    where = shown(uri)
    request = urllib.request.Request(uri.rstrip("/") + QUESTION, headers=_account(environ))  # noqa: S310 - http(s)
    try:
        with urllib.request.urlopen(request, timeout=patience) as answer:  # noqa: S310
            json.load(answer)
    except urllib.error.HTTPError as error:
        return _refused(where, error.code, environ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return problem(
            "mlflow",
            f"{where} does not answer as MLflow does: {reason}; runs are sent later, training goes on",
            "start the server, or check MLFLOW_TRACKING_URI",
        )
    return ok("mlflow", f"{where} answers")


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a server says of itself."""

    version: str  # of MLflow; "" where it does not say
    date: float | None  # its clock, to the second, in the middle of that second


def greet(uri: str, environ: Mapping[str, str], patience: float = PATIENCE) -> Greeting | None:
    """Return which MLflow a server is, and what time it is there; None where it does not answer."""
    request = urllib.request.Request(uri.rstrip("/") + VERSION, headers=_account(environ))  # noqa: S310 - http(s)
    try:
        with urllib.request.urlopen(request, timeout=patience) as answer:  # noqa: S310
            text, head = answer.read(100).decode(errors="replace").strip(), answer.headers
    except urllib.error.HTTPError as error:
        text, head = "", error.headers
    except (OSError, ValueError):
        return None
    when = parsedate_to_datetime(head["Date"]) if head["Date"] else None
    known = text if text[:1].isdigit() and len(text) < 40 else ""
    return Greeting(version=known, date=None if when is None else when.timestamp() + 0.5)


def _refused(where: str, code: int, environ: Mapping[str, str]) -> Finding:
    user = environ.get("MLFLOW_TRACKING_USERNAME")
    if code == 401 and user:
        words = f"{where} refuses the account '{user}': a wrong password, or no such user"
        return problem("mlflow", words, "set MLFLOW_TRACKING_PASSWORD to what it is: adctl cluster env")
    remedies = {
        401: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        403: "start it with --allowed-hosts naming the host of MLFLOW_TRACKING_URI, or ask for rights",
        404: "check MLFLOW_TRACKING_URI: no MLflow is at this address",
    }
    return problem("mlflow", f"{where} answers with {code}", remedies.get(code, "look at the server's log"))


def _account(environ: Mapping[str, str]) -> dict[str, str]:
    if token := environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    name, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    if name is None or password is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}
