"""MLflow's server with accounts: `python -m ad_platform.tracking.server`, with options of `mlflow server`.

Before it starts, the accounts are made, or given the passwords that are set now. MLFLOW_AUTH_DATABASE_URI
says where they are kept; MLFLOW_AUTH_ADMIN_PASSWORD, _WORKER_PASSWORD and _CLIENT_PASSWORD are theirs. A
worker makes experiments and models and owns them; a client reads everything and changes nothing; the admin
may do anything.
"""

import configparser
import io
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ad_platform import cores, structured_logs
from ad_platform.errors import AdctlError, InvalidValue, MissingExtra, TrackingDown

log = logging.getLogger(__name__)

DATABASE = "MLFLOW_AUTH_DATABASE_URI"
ADMIN = "admin"
PASSWORDS = {
    ADMIN: "MLFLOW_AUTH_ADMIN_PASSWORD",
    "worker": "MLFLOW_AUTH_WORKER_PASSWORD",
    "client": "MLFLOW_AUTH_CLIENT_PASSWORD",
}
SECRET = "MLFLOW_FLASK_SERVER_SECRET_KEY"  # noqa: S105 - the name of a variable
SHORTEST = 12  # characters of a password, as MLflow asks for
REMEMBERED = 60  # seconds that a password is not hashed again: a shipper sends it with every request


def check(environ: Mapping[str, str]) -> None:
    """Raise InvalidValue, naming the variable, unless all that the server needs is set."""
    for name in (DATABASE, SECRET, *PASSWORDS.values()):
        if not environ.get(name):
            raise InvalidValue(
                f"{name} must be set for a server with accounts; adctl cluster init makes one up"
            )
    for name in PASSWORDS.values():
        if len(environ[name]) < SHORTEST:
            raise InvalidValue(f"{name} must have {SHORTEST} characters or more")


def config(environ: Mapping[str, str]) -> str:
    """Return MLflow's file about accounts: whoever has one may read."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["mlflow"] = {
        "default_permission": "READ",
        "database_uri": environ[DATABASE].replace("%", "%%"),
        "admin_username": ADMIN,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(REMEMBERED),
    }
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def prepare_accounts(environ: Mapping[str, str]) -> list[str]:
    """Make the accounts, give those that there are the passwords that are set, and return whose changed.

    Raises MissingExtra, and TrackingDown where their database does not answer.
    """
    try:
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
    except ImportError as error:
        raise MissingExtra("MLflow's server with accounts", "server") from error
    from mlflow.exceptions import MlflowException

    from ad_platform.addresses import shown

    store, changed = SqlAlchemyStore(), list[str]()
    try:
        store.init_db(environ[DATABASE])
        for user, name in PASSWORDS.items():
            password, is_admin = environ[name], user == ADMIN
            if not store.has_user(user):
                store.create_user(user, password, is_admin=is_admin)
            elif not store.authenticate_user(user, password):
                store.update_user(user, password=password)
            else:
                continue
            changed.append(user)
    except MlflowException as error:
        where = shown(environ[DATABASE])
        raise TrackingDown(
            f"the accounts in {where} cannot be made: {' '.join(str(error).split())[:300]}"
        ) from error
    store.engine.dispose()
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the accounts and become `mlflow server`; return an exit code where that cannot be."""
    structured_logs.configure("%(asctime)s mlflow %(levelname)s %(message)s", level=logging.INFO)
    cores.leave_none()
    try:
        check(os.environ)
        for user in prepare_accounts(os.environ):
            log.info("the account %s has a new password", user)
    except AdctlError as error:
        log.error("%s", error)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="adctl-mlflow-"))  # for its owner alone: it holds a password
    place = folder / "accounts.ini"
    place.write_text(config(os.environ))
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(place)
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *given]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
