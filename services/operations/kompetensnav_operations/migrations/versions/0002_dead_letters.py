"""dead letters by their own name"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = ("died_at", "event_id", "fingerprint", "refs", "sent", "state")


def upgrade() -> None:
    op.rename_table("letter", "dead_letter")
    op.rename_table("replay_letter", "replay_dead_letter")
    for table in ("dead_letter", "replay_dead_letter", "correction"):
        op.alter_column(table, "letter_id", new_column_name="dead_letter_id")
    for name in INDEXES:
        op.execute(f"alter index ix_letter_{name} rename to ix_dead_letter_{name}")
    op.execute("alter index uq_letter_death rename to uq_dead_letter_death")
    op.execute("alter index pk_letter rename to pk_dead_letter")
    op.execute("alter index pk_replay_letter rename to pk_replay_dead_letter")
    op.execute("alter index ix_replay_letter_letter_id rename to ix_replay_dead_letter_dead_letter_id")
    op.execute("alter index ix_replay_letter_sent rename to ix_replay_dead_letter_sent")
    op.execute(
        "alter table replay_dead_letter"
        " rename constraint fk_replay_letter_replay_id to fk_replay_dead_letter_replay_id"
    )
    op.execute("alter sequence letter_letter_id_seq rename to dead_letter_dead_letter_id_seq")


def downgrade() -> None:
    raise NotImplementedError("the names are not taken back; restore a backup instead")
