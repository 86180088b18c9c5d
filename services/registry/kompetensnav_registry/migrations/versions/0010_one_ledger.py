"""one place decides of seats: the database only reads what it is decided by"""

from alembic import op

from kompetensnav_chassis.migrate import facts
from kompetensnav_registry.ledger.tables import functions

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WORKPLACE_WEEK = """
    select w.workplace_id, w.municipality, week.monday as week, count(*)::int as held,
    coalesce(o.learners, w.reception_capacity) as receives
    from workplace w join seat s on s.workplace_id = w.workplace_id and s.released_at is null
    cross join lateral (
        select generate_series(date_trunc('week', s.starts_on), s.ends_on, '7 days')::date as monday) week
    left join reception_week o on o.workplace_id = w.workplace_id and o.week = week.monday
    group by w.workplace_id, w.municipality, week.monday, o.learners, w.reception_capacity
"""
"""The weeks of each workplace that hold learners, and how many it receives in them."""


def upgrade() -> None:
    op.execute("drop function if exists reserve_seat(uuid, text, uuid, text, uuid, uuid)")
    op.execute("drop function if exists supervisor_room(slot)")
    op.execute("drop function if exists ledger_room(workplace, date, date)")
    for name in ("supervisor_takes", "read_reservation"):
        op.execute(functions.text(name))
    facts({"workplace_week": WORKPLACE_WEEK})


def downgrade() -> None:
    raise NotImplementedError(
        "what decided before is in no version that can be run; restore a backup instead"
    )
