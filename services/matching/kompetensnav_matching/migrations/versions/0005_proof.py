"""A round keeps how it was placed, the proof, and what other ways would have given."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the columns; rounds so far placed most."""
    op.add_column("round", sa.Column("mode", sa.String(40), nullable=False, server_default="most_placed"))
    op.add_column("round", sa.Column("proof", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Takes the columns away."""
    op.drop_column("round", "proof")
    op.drop_column("round", "mode")
