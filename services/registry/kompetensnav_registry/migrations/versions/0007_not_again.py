"""an erased learner is not brought back by a pull; presence ends where a placement was interrupted"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("erasure", sa.Column("blind_ref", sa.LargeBinary(), nullable=True), schema="vault")
    op.create_index("ix_erasure_blind_ref", "erasure", ["blind_ref"], schema="vault")

    op.add_column("placement", sa.Column("interrupted_on", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("placement", "interrupted_on")
    op.drop_index("ix_erasure_blind_ref", "erasure", schema="vault")
    op.drop_column("erasure", "blind_ref", schema="vault")
