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
        "message",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("party", sa.String(length=40), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("best_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message")),
        sa.UniqueConstraint("kind", "cause_id", "party", "recipient_id", "channel", name="uq_message_key"),
    )
    op.create_index(
        "ix_message_due",
        "message",
        ["due_at"],
        unique=False,
        postgresql_where="state in ('waiting', 'claimed')",
    )
    op.create_index("ix_message_group", "message", ["round_id", "workplace_id"], unique=False)
    op.create_table(
        "offer_fact",
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("at_workplace", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("match_id", name=op.f("pk_offer_fact")),
    )
    op.create_index("ix_offer_fact_group", "offer_fact", ["round_id", "workplace_id"], unique=False)
    op.create_table(
        "round_fact",
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_round_fact")),
    )
    protect("message", "administration")
    protect("offer_fact", "municipality")
    protect("round_fact", "municipality")


def downgrade() -> None:
    raise NotImplementedError("the first tables are not taken away; restore a backup instead")
