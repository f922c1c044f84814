"""What other hosts need to take part: environment files for clients and workers, from a cluster's .env.

And one for whoever moves an installation into the cluster, with the accounts that own what lies there.
"""

from collections.abc import Mapping

from ad_platform.errors import InvalidValue

CLIENT, WORKER, OWNER = "client.env", "worker.env", "owner.env"
SIDES = (CLIENT, WORKER)
# Of each file: the account of the store, the secret of its password, and the account of MLflow.
_ACCOUNTS = {
    CLIENT: ("adctl_client", "CLIENT", "client"),
    WORKER: ("adctl_worker", "WORKER", "worker"),
    OWNER: ("adctl", "OWNER", "admin"),
}


def lines(side: str, env: Mapping[str, str], host: str) -> str:
    """Return the text of one of the files; `host` is how the other hosts call the cluster's.

    Raises InvalidValue where a secret is missing from the .env.
    """

    def secret(name: str) -> str:
        if not env.get(name):
            raise InvalidValue(f"{name} is missing from .env; add it: adctl cluster init --force")
        return env[name]

    user, password, tracking = _ACCOUNTS[side]
    postgres, redis = f"{host}:{env.get('POSTGRES_PORT') or 5432}", f"{host}:{env.get('REDIS_PORT') or 6379}"
    storage = env.get("STORAGE_URL") or "/storage"
    found = {
        "ADCTL_DATABASE_URL": f"postgresql://{user}:{secret(f'{password}_DB_PASSWORD')}@{postgres}/adctl",
        "ADCTL_BROKER_URL": f"redis://:{secret('REDIS_PASSWORD')}@{redis}/0",
        "ADCTL_STORAGE_URL": storage,
        "ADCTL_STORAGE_OPTIONS": env.get("STORAGE_OPTIONS", ""),
        "MLFLOW_TRACKING_URI": f"http://{host}:{env.get('MLFLOW_PORT') or 5000}",
        "MLFLOW_TRACKING_USERNAME": tracking,
        "MLFLOW_TRACKING_PASSWORD": secret(f"MLFLOW_{tracking.upper()}_PASSWORD"),
    }
    if side != CLIENT:
        found["ADCTL_OPTUNA_URL"] = f"postgresql://optuna:{secret('OPTUNA_DB_PASSWORD')}@{postgres}/optuna"
    if side == OWNER:
        found["MLFLOW_BACKEND_STORE_URI"] = (
            f"postgresql://mlflow:{secret('MLFLOW_DB_PASSWORD')}@{postgres}/mlflow"
        )
    who = side.removesuffix(".env")
    head = [f"# What a {who} of this cluster needs, on any host: adctl cluster env writes it anew."]
    if side == OWNER:
        head = [
            "# What adctl migrate needs: accounts that own the cluster's databases. Remove it afterwards."
        ]
    if "://" not in storage:
        head.append(f"# {storage} must be one folder for all hosts, such as an NFS mount; or use S3.")
    return "\n".join([*head, *(f"{name}='{value}'" for name, value in found.items() if value)]) + "\n"
