"""The steps that lead the store's schema from one revision to the next, and how to take them."""

from ad_migrations.roles import Side, grant
from ad_migrations.rolling import make_way
from ad_migrations.steps import check, downgrade, head, readers_of, revision_of, upgrade

__all__ = ["Side", "check", "downgrade", "grant", "head", "make_way", "readers_of", "revision_of", "upgrade"]
