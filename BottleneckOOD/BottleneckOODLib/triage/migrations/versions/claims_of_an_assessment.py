"""A claim keeps what its reader was shown, readers compare by one rule, and who has seen a light is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from BottleneckOODLib.assessment.reader_names import reader_key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_AT_ONCE = 500
_BETWEEN = "\n"


def upgrade() -> None:
    """Add the columns and the table; claims stay, and readers of one name become one.

    A claim that an older version gave is taken for one of the case's newest assessment, which that version would have
    rated.
    """
    op.create_table(
        "seen",
        sa.Column("assessment", sa.Integer, sa.ForeignKey("assessments.number"), primary_key=True),
        sa.Column("reader", sa.Text, primary_key=True),
        sa.Column("seen", sa.String(40), nullable=False),
    )
    op.add_column("worklist", sa.Column("claimed_key", sa.Text, nullable=False, server_default=""))
    # SQLite takes a foreign key with a new column, which Alembic does not write for it.
    op.execute("ALTER TABLE worklist ADD COLUMN claimed_assessment INTEGER REFERENCES assessments (number)")
    op.drop_index("worklist_by_claim", "worklist")
    op.create_index("worklist_by_claim", "worklist", ["claimed_key", "claimed_until"])
    names = ("case", "assessment", "readings", "readers", "claimed_by", "claimed_key", "claimed_assessment")
    work = sa.table("worklist", *(sa.column(name) for name in names))
    connection = op.get_bind()
    claimed = connection.execute(sa.select(work.c.case, work.c.claimed_by).where(work.c.claimed_by != "")).all()
    claims = [{"row": case, "new": reader_key(reader)} for case, reader in claimed]
    of_row = sa.update(work).where(work.c.case == sa.bindparam("row"))
    _all_of(connection, of_row.values(claimed_key=sa.bindparam("new"), claimed_assessment=work.c.assessment), claims)
    rated = connection.execute(sa.select(work.c.case, work.c.readers).where(work.c.readers != "")).all()
    keyed = []
    for case, readers in rated:
        keys = sorted({reader_key(name) for name in readers.split(_BETWEEN) if name})
        marked = "".join(f"{_BETWEEN}{key}{_BETWEEN}" for key in keys)
        keyed.append({"row": case, "new": marked, "count": len(keys)})
    _all_of(connection, of_row.values(readers=sa.bindparam("new"), readings=sa.bindparam("count")), keyed)


def _all_of(connection: sa.Connection, change: sa.Update, rows: list[dict[str, object]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(change, rows[start : start + _AT_ONCE])
