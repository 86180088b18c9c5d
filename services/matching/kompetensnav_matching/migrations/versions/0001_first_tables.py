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
        "agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("lead", sa.String(length=40), nullable=False),
        sa.Column("municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("placement_types", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_agreement")),
    )
    op.create_table(
        "forbidden",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "slot_id", name=op.f("pk_forbidden")),
    )
    op.create_table(
        "locality",
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("locality", name=op.f("pk_locality")),
    )
    op.create_table(
        "open_request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("cohort_id", sa.Uuid(), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("needs", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("max_travel_minutes", sa.Integer(), nullable=False),
        sa.Column("wishes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_open_request")),
    )
    op.create_index(
        "ix_open_request_placement_type",
        "open_request",
        ["placement_type", "municipality", "state"],
        unique=False,
    )
    op.create_table(
        "open_slot",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("seats_left", sa.Integer(), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("min_language", sa.String(length=40), nullable=False),
        sa.Column("offers_needs", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("shared_with", sa.String(length=40), nullable=False),
        sa.Column("named_municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("owner_administration", sa.String(length=40), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("capacity_revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_open_slot")),
    )
    op.create_index(
        "ix_open_slot_placement_type", "open_slot", ["placement_type", "municipality"], unique=False
    )
    op.create_table(
        "proposal",
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=True),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("wish_rank", sa.Integer(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_proposal")),
    )
    op.create_index(
        "ix_proposal_awaited", "proposal", ["slot_id"], unique=False, postgresql_where="state = 'approved'"
    )
    op.create_index("ix_proposal_request_id", "proposal", ["request_id"], unique=False)
    op.create_index("ix_proposal_round_id", "proposal", ["round_id"], unique=False)
    op.create_table(
        "round",
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("administrations", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=True),
        sa.Column("repairs", sa.Uuid(), nullable=True),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("cohorts", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("draft_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.String(length=64), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_round")),
    )
    op.create_index(
        "ix_round_due", "round", ["draft_at"], unique=False, postgresql_where="state = 'scheduled'"
    )
    op.create_index(op.f("ix_round_repairs"), "round", ["repairs"], unique=False)
    op.create_table(
        "stale",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stale")),
    )
    op.create_table(
        "standing_rule",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("approve_repairs", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("municipality", name=op.f("pk_standing_rule")),
    )
    op.create_table(
        "travel_time",
        sa.Column("home", sa.String(length=40), nullable=False),
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("home", "work", name=op.f("pk_travel_time")),
    )
    protect("round", "municipality")
    protect("open_slot", "municipality")
    protect("standing_rule", "municipality")
    protect("stale", "municipality")
    protect("proposal", "administration")
    protect("open_request", "administration")
    protect("forbidden", "administration")


def downgrade() -> None:
    raise NotImplementedError("the first tables are not taken away; restore a backup instead")
