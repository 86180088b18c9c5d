"""slots lent between stacks, seats asked for in another, and another's learners in ours"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kompetensnav_chassis.migrate import drop_views, facts, protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CODE = sa.String(40)
NOW = sa.text("now()")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    codes = ARRAY(CODE)
    op.add_column("sharing_agreement", sa.Column("elsewhere", codes, nullable=False, server_default="{}"))
    for table in ("slot", "offer"):
        op.add_column(table, sa.Column("elsewhere", sa.Boolean(), nullable=False, server_default="false"))
    op.create_table(
        "loan",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("lent_to", CODE, nullable=False),
        sa.Column("municipality", CODE, nullable=False),
        sa.Column("told", JSONB(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "lent_to", "municipality", name=op.f("pk_loan")),
    )
    op.create_table(
        "ask",
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("municipality", CODE, nullable=False),
        sa.Column("administration", CODE, nullable=False),
        sa.Column("slot_municipality", CODE, nullable=False),
        *(
            sa.Column(name, sa.Uuid(), nullable=False)
            for name in ("slot_id", "workplace_id", "match_id", "round_id", "request_id")
        ),
        sa.Column("at_workplace", sa.Integer(), nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("refusal", CODE, nullable=True),
        sa.Column("asked_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_ask")),
    )
    op.create_index("ix_ask_request_id", "ask", ["request_id"])
    op.create_index("ix_ask_waiting", "ask", ["asked_at"], postgresql_where=sa.text("state = 'asked'"))
    op.create_table(
        "guest",
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("municipality", CODE, nullable=False),
        sa.Column("sent_by", CODE, nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("seat_id", sa.Uuid(), nullable=True),
        sa.Column("state", CODE, nullable=False),
        sa.Column("refusal", CODE, nullable=True),
        sa.Column("reason", CODE, nullable=True),
        sa.Column("answer_by", sa.Date(), nullable=True),
        sa.Column("declared", codes, nullable=False, server_default="{}"),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False, server_default=NOW),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_guest")),
    )
    op.create_index("ix_guest_slot_id", "guest", ["slot_id"])
    protect("loan", "municipality")
    protect("guest", "municipality")
    protect("ask", "administration")
    facts({"ask": "select reference, municipality, administration, match_id, state from ask"})


def downgrade() -> None:
    drop_views(["ask"])
    for table in ("guest", "ask", "loan"):
        op.drop_table(table)
    for table in ("offer", "slot"):
        op.drop_column(table, "elsewhere")
    op.drop_column("sharing_agreement", "elsewhere")
