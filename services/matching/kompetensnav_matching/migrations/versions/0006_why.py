"""A round keeps its terms, where more seats would help, and what each seat is worth."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the columns; rounds so far gave no reward."""
    op.add_column("round", sa.Column("new_field_minutes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("round", sa.Column("bottlenecks", postgresql.JSONB(), nullable=True))
    op.add_column("round", sa.Column("scarcity", postgresql.JSONB(), nullable=True))
    op.add_column("round", sa.Column("crowded", postgresql.ARRAY(sa.Uuid()), nullable=True))


def downgrade() -> None:
    """Takes the columns away."""
    for name in ("crowded", "scarcity", "bottlenecks", "new_field_minutes"):
        op.drop_column("round", name)
