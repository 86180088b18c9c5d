"""each administration decides how long its own documents are kept"""

import sqlalchemy as sa
from alembic import op

from kompetensnav_chassis.migrate import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

POLICIES = ("owner_all", "app_read", "app_insert", "app_update", "app_delete", "care_read")


def upgrade() -> None:
    op.add_column("retention", sa.Column("administration", sa.String(40)))
    op.drop_constraint("pk_retention", "retention")
    # What a municipality had decided holds for each of its administrations, until they decide themselves.
    op.execute(
        "insert into retention (municipality, administration, document_type, months, decided_by, revision)"
        " select r.municipality, coalesce(a.code, 'school'), r.document_type, r.months, r.decided_by,"
        " r.revision from retention r left join (select municipality, code from administration"
        "  union select municipality, administration from vault.learner"
        "  union select municipality, administration from vault.view_log"
        "  union select municipality, administration from vault.signature"
        "  union select municipality, administration from presence) a"
        " on a.municipality = r.municipality"
    )
    op.execute("delete from retention where administration is null")
    op.alter_column("retention", "administration", nullable=False)
    op.create_primary_key("pk_retention", "retention", ["municipality", "administration", "document_type"])
    for policy in POLICIES:
        op.execute(f"drop policy {policy} on retention")
    protect("retention", "administration")
    # A file of requests must find no request of a protected learner.
    op.execute("update request set ref = null where by_hand")


def downgrade() -> None:
    raise NotImplementedError("what several have decided is not made one; restore a backup instead")
