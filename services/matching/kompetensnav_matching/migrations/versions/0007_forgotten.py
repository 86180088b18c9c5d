"""facts: what belonged to a learner who has been forgotten is in no comparison with a rebuild, as the events
that it came of may be erased"""

from kompetensnav_chassis.migrate import facts

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NOBODY = "00000000-0000-0000-0000-000000000000"
REQUEST = """
    select request_id, municipality, administration, learner_id, placement_type, starts_on, ends_on,
    cohort_id, locality, language, needs, max_travel_minutes, wishes, wanted,
    case state when 'matched' then 'open' else state end as state, revision
    from open_request
"""
REFUSAL = "select * from forbidden where reason <> 'forbidden'"


def upgrade() -> None:
    facts(
        {
            "projected_request": f"{REQUEST} where learner_id <> '{NOBODY}'",
            "projected_refusal": f"""
                {REFUSAL} and request_id in (
                    select request_id from open_request where learner_id <> '{NOBODY}'
                )
            """,
        }
    )


def downgrade() -> None:
    facts({"projected_request": REQUEST, "projected_refusal": REFUSAL})
