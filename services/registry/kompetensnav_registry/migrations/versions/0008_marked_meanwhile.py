"""a single seat is refused when the learner is marked or gone now, whatever the request says"""

from importlib import import_module

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BEFORE: str = import_module("kompetensnav_registry.migrations.versions.0006_asked_in_the_ledger").RESERVE
ASKED = "if not found or r.by_hand then"
MARKED = """if not found or r.by_hand or not exists (
        select 1 from vault.learner l where l.learner_id = r.learner_id and l.municipality = p_home
        and l.security_marking = 'none'
    ) then"""


def upgrade() -> None:
    op.execute(BEFORE.replace(ASKED, MARKED))


def downgrade() -> None:
    op.execute(BEFORE)
