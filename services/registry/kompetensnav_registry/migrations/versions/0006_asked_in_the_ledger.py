"""the ledger compares placement types, locks all that a learner asks for, and caps supervisors' loads"""

from importlib import import_module

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BEFORE: tuple[str, str, str] = import_module(
    "kompetensnav_registry.migrations.versions.0004_the_whole_registry"
).RESERVE
TAKES = """
create or replace function supervisor_takes(v vault.supervisor) returns int language sql stable as $$
    select least(v.most_at_once, (select case when not t.switched_off
            then (t.parameters ->> 'at_once')::numeric::int end from rule_setting t
        where t.municipality = v.municipality and t.rule = 'R12'
        and current_date between t.valid_from and coalesce(t.valid_to, 'infinity')
        order by t.valid_from desc limit 1))
$$
"""
ONE = "select * into r from request where request_id = p_request and municipality = p_home for update;"
ALL = """perform 1 from request where municipality = p_home and learner_id = (
        select learner_id from request where request_id = p_request and municipality = p_home)
        order by request_id for update;
    select * into r from request where request_id = p_request and municipality = p_home;"""
APART = "if s.shared_with <> 'public'"
OTHER = """if s.placement_type <> r.placement_type then
        return jsonb_build_object('other_type', true);
    end if;
    """
YEAR = "'study_year', l.study_year,"
FORMS = """
            'school_forms', (select school_forms from school
                             where school.municipality = l.municipality and school.code = l.school),"""
RESERVE = BEFORE[2].replace(ONE, ALL).replace(APART, OTHER + APART).replace(YEAR, YEAR + FORMS)


def upgrade() -> None:
    _, supervised, _ = BEFORE
    op.execute(TAKES)
    op.execute(supervised.replace("v.most_at_once -", "supervisor_takes(v) -"))
    op.execute(RESERVE)


def downgrade() -> None:
    for statement in BEFORE:
        op.execute(statement)
    op.execute("drop function supervisor_takes(vault.supervisor)")
