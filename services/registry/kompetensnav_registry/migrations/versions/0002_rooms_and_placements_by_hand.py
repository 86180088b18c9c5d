"""seats left as told, seats that were told of, and placements by hand"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _flag(table: str, name: str, server_default: str) -> None:
    flag: sa.Column[bool] = sa.Column(name, sa.Boolean(), nullable=False, server_default=server_default)
    op.add_column(table, flag)
    op.alter_column(table, name, server_default=None)


def upgrade() -> None:
    left: sa.Column[int] = sa.Column("seats_left", sa.Integer(), nullable=True)
    op.add_column("slot", left)
    op.execute("update slot set seats_left = case when withdrawn_at is null then seats - taken else 0 end")
    op.alter_column("slot", "seats_left", nullable=False)
    _flag("seat", "told", "true")
    _flag("offer", "by_hand", "false")
    _flag("placement", "by_hand", "false")


def downgrade() -> None:
    for table in ("offer", "placement"):
        op.drop_column(table, "by_hand")
    op.drop_column("seat", "told")
    op.drop_column("slot", "seats_left")
