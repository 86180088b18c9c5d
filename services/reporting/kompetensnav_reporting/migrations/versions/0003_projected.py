"""facts: what follows from the events alone, for the comparison with a rebuild"""

from kompetensnav_chassis.migrate import drop_views, facts

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

VIEWS = {"projected_fact": "select * from fact"}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_views(VIEWS)
