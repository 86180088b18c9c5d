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
    op.execute("create schema vault")
    op.create_table(
        "employer",
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("org_number", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sector", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("employer_id", name=op.f("pk_employer")),
        sa.UniqueConstraint("org_number", name=op.f("uq_employer_org_number")),
    )
    op.create_table(
        "offer",
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=True),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("seat_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_municipality", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("must_answer", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("are_told", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("at_workplace", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("offer_id", name=op.f("pk_offer")),
        sa.UniqueConstraint("match_id", name=op.f("uq_offer_match_id")),
        sa.UniqueConstraint("seat_id", name=op.f("uq_offer_seat_id")),
    )
    op.create_index("ix_offer_learner_id", "offer", ["learner_id"], unique=False)
    op.create_index("ix_offer_open", "offer", ["answer_by"], unique=False, postgresql_where="state = 'open'")
    op.create_index("ix_offer_slot_id", "offer", ["slot_id"], unique=False)
    op.create_index("ix_offer_workplace_round", "offer", ["workplace_id", "round_id"], unique=False)
    op.create_table(
        "request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=100), nullable=True),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("cohort_id", sa.Uuid(), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("age_class", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("needs", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("max_travel_minutes", sa.Integer(), nullable=False),
        sa.Column("wishes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request")),
        sa.UniqueConstraint(
            "municipality", "administration", "ref", name=op.f("uq_request_municipality_administration_ref")
        ),
    )
    op.create_index(op.f("ix_request_learner_id"), "request", ["learner_id"], unique=False)
    op.create_table(
        "school",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("cohort_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "code", name=op.f("pk_school")),
        sa.UniqueConstraint("cohort_id", name=op.f("uq_school_cohort_id")),
    )
    op.create_table(
        "seat",
        sa.Column("seat_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("seat_id", name=op.f("pk_seat")),
    )
    op.create_index(
        "ix_seat_held", "seat", ["workplace_id"], unique=False, postgresql_where="released_at is null"
    )
    op.create_index("ix_seat_slot_id", "seat", ["slot_id"], unique=False)
    op.create_table(
        "sharing_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("lead", sa.String(length=40), nullable=False),
        sa.Column("municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("placement_types", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_sharing_agreement")),
    )
    op.create_table(
        "contact",
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("speaks", sa.String(length=2), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contact")),
        sa.UniqueConstraint(
            "municipality",
            "role",
            "workplace_id",
            name=op.f("uq_contact_municipality_role_workplace_id"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="vault",
    )
    op.create_table(
        "learner",
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=100), nullable=True),
        sa.Column("given_name", sa.String(length=100), nullable=False),
        sa.Column("family_name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=True),
        sa.Column("guardian_email", sa.String(length=200), nullable=True),
        sa.Column("born_on", sa.Date(), nullable=False),
        sa.Column("school", sa.String(length=40), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("speaks", sa.String(length=2), nullable=False),
        sa.Column("security_marking", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("learner_id", name=op.f("pk_learner")),
        sa.UniqueConstraint(
            "municipality", "administration", "ref", name=op.f("uq_learner_municipality_administration_ref")
        ),
        schema="vault",
    )
    op.create_table(
        "placement",
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "confirmed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.offer_id"], name=op.f("fk_placement_offer_id")),
        sa.PrimaryKeyConstraint("placement_id", name=op.f("pk_placement")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_placement_offer_id")),
    )
    op.create_index(op.f("ix_placement_slot_id"), "placement", ["slot_id"], unique=False)
    op.create_table(
        "workplace",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=100), nullable=True),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("reception_capacity", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("reception_capacity >= 0", name=op.f("ck_workplace_reception_capacity")),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["employer.employer_id"], name=op.f("fk_workplace_employer_id")
        ),
        sa.PrimaryKeyConstraint("workplace_id", name=op.f("pk_workplace")),
        sa.UniqueConstraint("municipality", "ref", name=op.f("uq_workplace_municipality_ref")),
    )
    op.create_table(
        "slot",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=100), nullable=True),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("min_language", sa.String(length=40), nullable=False),
        sa.Column("offers_needs", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("shared_with", sa.String(length=40), nullable=False),
        sa.Column("named_municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=True),
        sa.Column("own_found", sa.Boolean(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("capacity_revision", sa.Integer(), nullable=False),
        sa.Column("public_revision", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_slot_period")),
        sa.CheckConstraint("taken between 0 and seats", name=op.f("ck_slot_never_more_than_seats")),
        sa.ForeignKeyConstraint(["employer_id"], ["employer.employer_id"], name=op.f("fk_slot_employer_id")),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_slot_workplace_id")
        ),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_slot")),
        sa.UniqueConstraint("municipality", "ref", name=op.f("uq_slot_municipality_ref")),
    )
    op.create_index("ix_slot_workplace_id", "slot", ["workplace_id"], unique=False)
    protect("slot", "municipality")
    protect("seat", "municipality")
    protect("workplace", "municipality")
    protect("school", "municipality")
    protect("offer", "administration")
    protect("placement", "administration")
    protect("request", "administration")
    protect("contact", "municipality", schema="vault")
    protect("learner", "administration", schema="vault")


def downgrade() -> None:
    raise NotImplementedError("the first tables are not taken away; restore a backup instead")
