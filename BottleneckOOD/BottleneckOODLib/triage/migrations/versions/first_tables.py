"""The first tables: cases, places, assessments, decisions, worklist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "cases",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("content", sa.String(64), nullable=False, unique=True),
        sa.Column("case_id", sa.String(255), nullable=False, unique=True),
        sa.Column("first_seen", sa.String(40), nullable=False),
    )
    op.create_table(
        "places",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.number"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("series", sa.String(64), nullable=False),
        sa.Column("stamp", sa.String(64), nullable=False),
        sa.Column("seen", sa.String(40), nullable=False),
    )
    op.create_index("ix_places_case", "places", ["case"])
    op.create_index("places_by_path", "places", ["path", "series"])
    op.create_table(
        "assessments",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.number"), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("judge", sa.String(64), nullable=False),
        sa.Column("light", sa.String(8), nullable=False),
        sa.Column("p_value", sa.Float),
        sa.Column("score", sa.Float),
        sa.Column("percentile", sa.Float),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("ix_assessments_case", "assessments", ["case"])
    op.create_index("assessments_by_judge", "assessments", ["judge", "case"])
    op.create_table(
        "decisions",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False, unique=True),
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.number"), nullable=False),
        sa.Column("reader", sa.String(255), nullable=False),
        sa.Column("rating", sa.String(16), nullable=False),
        sa.Column("decided", sa.String(40), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_index("ix_decisions_case", "decisions", ["case"])
    op.create_index("ix_decisions_reader", "decisions", ["reader"])
    op.create_table(
        "worklist",
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.number"), primary_key=True),
        sa.Column("assessment", sa.Integer, sa.ForeignKey("assessments.number"), nullable=False),
        sa.Column("light", sa.String(8), nullable=False),
        sa.Column("unusual", sa.Float, nullable=False),
        sa.Column("lot", sa.Float, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("rating", sa.String(16), nullable=False),
        sa.Column("readers", sa.Text, nullable=False),
        sa.Column("claimed_by", sa.String(255), nullable=False),
        sa.Column("claimed_at", sa.Float, nullable=False),
        sa.Column("claimed_until", sa.Float, nullable=False),
        sa.Column("claimed_blind", sa.Boolean, nullable=False),
    )
    op.create_index("worklist_by_readings", "worklist", ["readings", "unusual", "case"])
    op.create_index("worklist_by_light", "worklist", ["light", "unusual", "case"])
    op.create_index("worklist_by_unusual", "worklist", ["unusual", "case"])
    op.create_index("worklist_by_claim", "worklist", ["claimed_by", "claimed_until"])
