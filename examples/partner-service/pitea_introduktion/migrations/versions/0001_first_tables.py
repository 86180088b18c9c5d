"""first tables"""

import sqlalchemy as sa
from alembic import op

from kompetensnav_chassis.migrate import outbox_and_inbox, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    outbox_and_inbox()
    op.create_table(
        "day",
        sa.Column("day_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("booked", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day_id", name=op.f("pk_day")),
    )
    op.create_index(op.f("ix_day_municipality"), "day", ["municipality"], unique=False)
    op.create_table(
        "place",
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=True),
        sa.Column("day_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("placement_id", name=op.f("pk_place")),
    )
    protect("day", "municipality")
    protect("place", "administration")


def downgrade() -> None:
    raise NotImplementedError("the first tables are not taken away; restore a backup instead")
