"""what is wanted, so that a repair reads only the requests it concerns; seats left in a table of their own"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kompetensnav_chassis.migrate import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WISHES = """
update open_request set wanted = coalesce(nullif(array(
    select distinct k from jsonb_array_elements(wishes) w,
    lateral (values (left(w ->> 'occupation', 3)), (w ->> 'slot_id')) keys (k)
    where k is not null order by k), '{}'), array['*'])
"""
_SEATS = """
insert into seats_left (slot_id, municipality, seats, revision)
select slot_id, municipality, seats_left, capacity_revision from open_slot where capacity_revision > 0
"""


def upgrade() -> None:
    wanted: sa.Column[list[str]] = sa.Column(
        "wanted", postgresql.ARRAY(sa.String(length=40)), nullable=False, server_default="{}"
    )
    op.add_column("open_request", wanted)
    op.execute(_WISHES)
    op.alter_column("open_request", "wanted", server_default=None)
    op.create_table(
        "seats_left",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_seats_left")),
    )
    protect("seats_left", "municipality")
    op.execute(_SEATS)
    op.drop_column("open_slot", "seats_left")
    op.drop_column("open_slot", "capacity_revision")


def downgrade() -> None:
    raise NotImplementedError("seats left are told again by the registry; restore a backup instead")
