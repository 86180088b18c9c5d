"""facts: what follows from the events alone, for the comparison with a rebuild; a match that matching itself
has made leaves its request open here, until the registry has told what came of it"""

from kompetensnav_chassis.migrate import drop_views, facts

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

VIEWS = {
    "projected_slot": "select * from open_slot",
    "projected_seats": "select * from seats_left",
    "projected_request": """
        select request_id, municipality, administration, learner_id, placement_type, starts_on, ends_on,
        cohort_id, locality, language, needs, max_travel_minutes, wishes, wanted,
        case state when 'matched' then 'open' else state end as state, revision
        from open_request
    """,
    "projected_agreement": "select * from agreement",
    "projected_refusal": "select * from forbidden where reason <> 'forbidden'",
}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_views(VIEWS)
