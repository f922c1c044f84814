"""Looks into databases that other libraries keep beside the store's."""

from sqlalchemy import NullPool, create_engine, inspect

from ad_platform.store.database import explaining


def has_table(url: str, name: str, where: str) -> bool:
    """Say whether a database has a table of that name where its address leads; raise StoreDown."""
    engine = create_engine(url, poolclass=NullPool)
    with explaining(where), engine.connect() as connection:
        return inspect(connection).has_table(name)
