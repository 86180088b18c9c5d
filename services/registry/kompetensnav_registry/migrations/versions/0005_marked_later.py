"""a learner who is marked as protected later is hidden from then on; what was told before still adds up"""

import sqlalchemy as sa
from alembic import op

from kompetensnav_chassis.migrate import facts

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OFFER = """
    select offer_id, municipality, administration, match_id, seat_id, slot_id, request_id,
    learner_id, starts_on, ends_on, state, {by_hand}, revision, weekdays from offer
"""
PLACEMENT = """
    select placement_id, municipality, administration, offer_id, learner_id, slot_id, starts_on,
    ends_on, {state}, {by_hand}, revision from placement
"""
NEVER_TOLD = "by_hand and told_state is null as by_hand"
UNNAMED = "unassigned"
"""The case worker of those who were marked before there was one."""


def upgrade() -> None:
    op.add_column("offer", sa.Column("told_state", sa.String(40), nullable=True))
    op.add_column("placement", sa.Column("told_state", sa.String(40), nullable=True))
    facts(
        {
            "offer": OFFER.format(by_hand=NEVER_TOLD),
            "placement": PLACEMENT.format(
                state="coalesce(told_state, state)::varchar(40) as state", by_hand=NEVER_TOLD
            ),
        }
    )
    op.add_column(
        "learner", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"), schema="vault"
    )
    op.add_column("erasure", sa.Column("case_worker", sa.String(200), nullable=True), schema="vault")
    op.execute(
        f"update vault.learner set case_worker = '{UNNAMED}'"
        " where security_marking <> 'none' and case_worker is null"
    )
    op.create_check_constraint(
        "protected_has_a_case_worker",
        "learner",
        "security_marking = 'none' or case_worker is not null",
        schema="vault",
    )
    op.create_index(
        "ix_learner_protected", "learner", ["case_worker"], schema="vault",
        postgresql_where="security_marking <> 'none'",
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_learner_protected", "learner", schema="vault")
    op.drop_constraint("protected_has_a_case_worker", "learner", schema="vault", type_="check")
    op.drop_column("erasure", "case_worker", schema="vault")
    op.drop_column("learner", "revision", schema="vault")
    facts(
        {
            "offer": OFFER.format(by_hand="by_hand"),
            "placement": PLACEMENT.format(state="state", by_hand="by_hand"),
        }
    )
    op.drop_column("placement", "told_state")
    op.drop_column("offer", "told_state")
