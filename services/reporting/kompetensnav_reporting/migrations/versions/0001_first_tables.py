"""first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kompetensnav_chassis.migrate import outbox_and_inbox, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    outbox_and_inbox()
    op.create_table(
        "fact",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("thing_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_fact")),
    )
    op.create_index("ix_fact_municipality", "fact", ["municipality", "name"], unique=False)
    op.create_index("ix_fact_thing", "fact", ["thing_id", "revision"], unique=False)
    op.create_table(
        "published_report",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("up_to", sa.Date(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_published_report")),
    )
    protect("fact", "administration")
    protect("published_report", "municipality")


def downgrade() -> None:
    raise NotImplementedError("the first tables are not taken away; restore a backup instead")
