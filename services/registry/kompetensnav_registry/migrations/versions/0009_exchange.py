"""exchange between stacks, and facts: views for operators' checks, which depend on these and on no table"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kompetensnav_chassis.migrate import facts, protect

revision = "0009"
down_revision = "0004_people"
branch_labels = None
depends_on = None

VIEWS = {
    "slot": """
        select slot_id, municipality, ref, workplace_id, placement_type, seats, taken, seats_left,
        own_found, withdrawn_at is not null as withdrawn, revision from slot
    """,
    "seat": """
        select seat_id, municipality, workplace_id, slot_id, starts_on, ends_on, reserved_at,
        released_at, told from seat
    """,
    "workplace": """
        select workplace_id, municipality, reception_capacity, revision from workplace
    """,
    "reception_week": """
        select workplace_id, municipality, week, learners from reception_week
    """,
    "request": """
        select request_id, municipality, administration, learner_id, state, by_hand, revision from
        request
    """,
    "offer": """
        select offer_id, municipality, administration, match_id, seat_id, slot_id, request_id,
        learner_id, starts_on, ends_on, state, by_hand and told_state is null as by_hand, revision,
        weekdays from offer
    """,
    "placement": """
        select placement_id, municipality, administration, offer_id, learner_id, slot_id, starts_on,
        ends_on, coalesce(told_state, state)::varchar(40) as state,
        by_hand and told_state is null as by_hand, revision from placement
    """,
    "ask": "select reference, municipality, administration, match_id, state from ask",
}
"""Name -> select. Of a learner who was marked as protected later, what was told before still adds up: the
state that was told last stands for the state."""


def upgrade() -> None:
    op.create_table(
        "loan",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("lent_to", sa.String(40), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("told", JSONB(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "lent_to", "municipality", name="pk_loan"),
    )
    op.create_table(
        "ask",
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("slot_municipality", sa.String(40), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("at_workplace", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("refusal", sa.String(40), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("reference", name="pk_ask"),
    )
    op.create_index("ix_ask_request_id", "ask", ["request_id"])
    op.create_index("ix_ask_waiting", "ask", ["asked_at"], postgresql_where="state = 'asked'")
    op.create_table(
        "guest",
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("sent_by", sa.String(40), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("seat_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("refusal", sa.String(40), nullable=True),
        sa.Column("reason", sa.String(40), nullable=True),
        sa.Column("answer_by", sa.Date(), nullable=True),
        sa.Column("declared", ARRAY(sa.String(40)), server_default="{}", nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("reference", name="pk_guest"),
    )
    op.create_index("ix_guest_slot_id", "guest", ["slot_id"])
    protect("loan", "municipality")
    protect("ask", "administration")
    protect("guest", "municipality")
    facts(VIEWS)


def downgrade() -> None:
    raise NotImplementedError("what these tables hold is not thrown away; restore a backup instead")
