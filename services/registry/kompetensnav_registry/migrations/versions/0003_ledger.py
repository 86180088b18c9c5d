"""the capacity ledger: slots, seats, requests, offers, placements, and the listing that is searched"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from kompetensnav_chassis.migrate import protect

revision = "0003_ledger"
down_revision = "0002_actors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slot",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(100), nullable=True),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(40), nullable=False),
        sa.Column("occupation", sa.String(4), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("min_language", sa.String(40), nullable=False),
        sa.Column("offers_needs", ARRAY(sa.String(40)), nullable=False),
        sa.Column("shared_with", sa.String(40), nullable=False),
        sa.Column("named_municipalities", ARRAY(sa.String(40)), nullable=False),
        sa.Column("administration", sa.String(40), nullable=True),
        sa.Column("own_found", sa.Boolean(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("capacity_revision", sa.Integer(), nullable=False),
        sa.Column("public_revision", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seats_left", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(2000), nullable=True),
        sa.Column("weekdays", ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
        sa.Column("supervisor_id", sa.Uuid(), nullable=True),
        sa.Column("terms", JSONB(), server_default="{}", nullable=False),
        sa.Column("withdrawn_because", sa.String(40), nullable=True),
        sa.Column("elsewhere", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("ends_on >= starts_on", name="period"),
        sa.CheckConstraint("taken between 0 and seats", name="never_more_than_seats"),
        sa.ForeignKeyConstraint(["employer_id"], ["employer.employer_id"], name="fk_slot_employer_id"),
        sa.ForeignKeyConstraint(["workplace_id"], ["workplace.workplace_id"], name="fk_slot_workplace_id"),
        sa.PrimaryKeyConstraint("slot_id", name="pk_slot"),
        sa.UniqueConstraint("municipality", "ref", name="uq_slot_municipality_ref"),
    )
    op.create_index("ix_slot_workplace_id", "slot", ["workplace_id"])
    op.create_table(
        "listing",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("home", sa.String(40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("employer", sa.String(200), nullable=False),
        sa.Column("workplace", sa.String(200), nullable=False),
        sa.Column("placement_type", sa.String(40), nullable=False),
        sa.Column("occupation", sa.String(4), nullable=False),
        sa.Column("occupation_name", sa.String(200), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("seats_left", sa.Integer(), nullable=False),
        sa.Column("shared_with", sa.String(40), nullable=False),
        sa.Column("named_municipalities", ARRAY(sa.String(40)), nullable=False),
        sa.Column("owner", sa.String(40), nullable=True),
        sa.Column("description", sa.String(2000), nullable=True),
        sa.Column(
            "words",
            TSVECTOR(),
            sa.Computed(
                "to_tsvector('swedish', employer || ' ' || workplace || ' ' || occupation_name || ' ' ||"
                " coalesce(description, ''))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("slot_id", name="pk_listing"),
    )
    op.create_index("ix_listing_home", "listing", ["home", "starts_on"])
    op.create_index("ix_listing_occupation", "listing", ["occupation", "starts_on"])
    op.create_index("ix_listing_place", "listing", ["latitude", "longitude"])
    op.create_index("ix_listing_words", "listing", ["words"], postgresql_using="gin")
    op.create_table(
        "seat",
        sa.Column("seat_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(40), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("supervisor_id", sa.Uuid(), nullable=True),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("seat_id", name="pk_seat"),
    )
    op.create_index("ix_seat_held", "seat", ["workplace_id"], postgresql_where="released_at is null")
    op.create_index("ix_seat_slot_id", "seat", ["slot_id"])
    op.create_table(
        "request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(100), nullable=True),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("cohort_id", sa.Uuid(), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("age_class", sa.String(40), nullable=False),
        sa.Column("language", sa.String(40), nullable=False),
        sa.Column("needs", ARRAY(sa.String(40)), nullable=False),
        sa.Column("max_travel_minutes", sa.Integer(), nullable=False),
        sa.Column("wishes", JSONB(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("terms", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_request"),
        sa.UniqueConstraint(
            "municipality", "administration", "ref", name="uq_request_municipality_administration_ref"
        ),
    )
    op.create_index("ix_request_learner_id", "request", ["learner_id"])
    op.create_table(
        "offer",
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=True),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("seat_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_municipality", sa.String(40), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("placement_type", sa.String(40), nullable=False),
        sa.Column("occupation", sa.String(4), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("must_answer", ARRAY(sa.String(40)), nullable=False),
        sa.Column("are_told", ARRAY(sa.String(40)), nullable=False),
        sa.Column("answers", JSONB(), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("at_workplace", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("weekdays", ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
        sa.Column("declared", ARRAY(sa.String(40)), server_default="{}", nullable=False),
        sa.Column("told_state", sa.String(40), nullable=True),
        sa.Column("elsewhere", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("offer_id", name="pk_offer"),
        sa.UniqueConstraint("match_id", name="uq_offer_match_id"),
        sa.UniqueConstraint("seat_id", name="uq_offer_seat_id"),
    )
    op.create_index("ix_offer_learner_id", "offer", ["learner_id"])
    op.create_index("ix_offer_open", "offer", ["answer_by"], postgresql_where="state = 'open'")
    op.create_index("ix_offer_slot_id", "offer", ["slot_id"])
    op.create_index("ix_offer_workplace_round", "offer", ["workplace_id", "round_id"])
    op.create_table(
        "placement",
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(40), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "confirmed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("told_state", sa.String(40), nullable=True),
        sa.Column("interrupted_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.offer_id"], name="fk_placement_offer_id"),
        sa.PrimaryKeyConstraint("placement_id", name="pk_placement"),
        sa.UniqueConstraint("offer_id", name="uq_placement_offer_id"),
    )
    op.create_index("ix_placement_slot_id", "placement", ["slot_id"])
    op.create_table(
        "presence",
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("hours", sa.Numeric(4, 1), nullable=False),
        sa.Column("confirmed_by", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "confirmed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("days between 0 and 7", name="days"),
        sa.CheckConstraint("hours between 0 and 80", name="hours"),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.placement_id"], name="fk_presence_placement_id"
        ),
        sa.PrimaryKeyConstraint("placement_id", "week", name="pk_presence"),
    )
    op.create_table(
        "asking",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("about", JSONB(), server_default="{}", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["workplace_id"], ["workplace.workplace_id"], name="fk_asking_workplace_id"),
        sa.PrimaryKeyConstraint("workplace_id", "cause_id", name="pk_asking"),
    )
    op.create_index("ix_asking_asked_on", "asking", ["workplace_id", "asked_on"])
    op.create_table(
        "public_count",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("placement_type", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "placement_type", "month", name="pk_public_count"),
    )
    protect("slot", "municipality")
    protect("seat", "municipality")
    protect("request", "administration")
    protect("offer", "administration")
    protect("placement", "administration")
    protect("presence", "administration")
    protect("asking", "municipality")
    protect("public_count", "municipality")


def downgrade() -> None:
    raise NotImplementedError("what these tables hold is not thrown away; restore a backup instead")
