"""what was published, by that name"""

from alembic import op

from kompetensnav_chassis.migrate import drop_views, facts

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = (
    ("seat", "told", "published"),
    ("loan", "told", "published"),
    ("public_count", "told", "published"),
    ("offer", "told_state", "published_state"),
    ("placement", "told_state", "published_state"),
)
SEAT = """
    select seat_id, municipality, workplace_id, slot_id, starts_on, ends_on, reserved_at,
    released_at, published from seat
"""


def upgrade() -> None:
    drop_views(["seat"])
    for table, before, after in COLUMNS:
        op.alter_column(table, before, new_column_name=after)
    facts({"seat": SEAT})


def downgrade() -> None:
    drop_views(["seat"])
    for table, before, after in COLUMNS:
        op.alter_column(table, after, new_column_name=before)
    facts({"seat": SEAT.replace("published", "told")})
