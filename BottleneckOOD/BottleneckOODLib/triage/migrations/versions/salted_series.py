"""A salt of the store's own, and the hashes of series salted with it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_AT_ONCE = 500


def upgrade() -> None:
    """Draw the salt, and key what was hashed without it: the images need not be looked at."""
    settings = op.create_table(
        "settings",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(255), nullable=False),
    )
    salt = secrets.token_bytes(32)
    op.bulk_insert(settings, [{"name": "salt", "value": salt.hex()}])
    places = sa.table("places", sa.column("number", sa.Integer), sa.column("series", sa.String))
    connection = op.get_bind()
    kept = connection.execute(sa.select(places.c.number, places.c.series).where(places.c.series != "")).all()
    keyed = [{"row": n, "new": hmac.new(salt, old.encode(), hashlib.sha256).hexdigest()} for n, old in kept]
    change = sa.update(places).where(places.c.number == sa.bindparam("row")).values(series=sa.bindparam("new"))
    for start in range(0, len(keyed), _AT_ONCE):
        connection.execute(change, keyed[start : start + _AT_ONCE])
