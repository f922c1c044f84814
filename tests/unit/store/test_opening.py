"""Opening a store by its address, without any server."""

import pytest
from sqlalchemy import make_url

from ad_platform.errors import InvalidValue, StoreMismatch
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.postgres import PostgresBackend
from ad_platform.store.revision import HEAD, check_revision
from ad_platform.store.rows import storable


@pytest.mark.parametrize("url", ["mysql://host/name", "redis://host", "https://example.org"])
def test_an_address_of_another_kind_names_the_kinds_there_are(url: str) -> None:
    with pytest.raises(InvalidValue, match="sqlite:///FILE or postgresql://HOST/NAME"):
        open_store(url)


@pytest.mark.parametrize("url", ["", "store.db", "postgresql://ann:secret@host:port/name"])
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidValue, match="ADCTL_DATABASE_URL is no address") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    assert backend_of("postgres://ann:secret@host/name").where == "postgres://ann:***@host/name"


def test_what_the_address_asks_of_the_driver_wins_over_our_own_patience() -> None:
    backend = PostgresBackend(make_url("postgresql://host/name?connect_timeout=60&sslmode=require"))
    engine = backend.engine()
    query = dict(engine.url.query)
    engine.dispose()
    assert (query["connect_timeout"], query["sslmode"]) == ("60", "require")
    assert query["application_name"] == "adctl"


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "make one: adctl db upgrade"), ("nonsense", "newer than this program's .*: upgrade adctl")],
)
def test_a_store_of_another_schema_says_which_side_to_upgrade(found: str | None, said: str) -> None:
    with pytest.raises(StoreMismatch, match=said):
        check_revision(found, "here")
    check_revision(HEAD, "here")


def test_free_text_loses_only_what_a_database_refuses() -> None:
    assert storable("a\0b ✓ \udcff\n") == "ab ✓ ?\n"
