"""the whole registry: actors, agreements, rules, the vault"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kompetensnav_chassis.migrate import facts, protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

VIEWS = {
    "workplace": """
        select workplace_id, municipality, reception_capacity, revision from workplace
    """,
    "offer": """
        select offer_id, municipality, administration, match_id, seat_id, slot_id, request_id,
        learner_id, starts_on, ends_on, state, by_hand, revision, weekdays from offer
    """,
    "reception_week": """
        select workplace_id, municipality, week, learners from reception_week
    """,
}

RESERVE = (
    """
create or replace function ledger_room(w workplace, p_starts date, p_ends date) returns int
language sql stable as $$
    select coalesce(min(coalesce(o.learners, w.reception_capacity) - (
        select count(*) from seat where seat.workplace_id = w.workplace_id
        and seat.municipality = w.municipality and seat.released_at is null
        and seat.starts_on <= week.monday + 6 and seat.ends_on >= week.monday)), 0)::int
    from (select generate_series(date_trunc('week', p_starts), p_ends, '7 days')::date as monday) week
    left join reception_week o on o.workplace_id = w.workplace_id and o.week = week.monday
$$
""",
    """
create or replace function supervisor_room(s slot) returns int language sql stable as $$
    select coalesce((select min(v.most_at_once - (
        select count(*) from seat where seat.workplace_id = s.workplace_id
        and seat.municipality = s.municipality and seat.released_at is null
        and seat.supervisor_id = s.supervisor_id
        and seat.starts_on <= week.monday + 6 and seat.ends_on >= week.monday))
    from vault.supervisor v,
        (select generate_series(date_trunc('week', s.starts_on), s.ends_on, '7 days')::date as monday) week
    where v.supervisor_id = s.supervisor_id), s.seats)::int
$$
""",
    """
create or replace function reserve_seat(
    p_slot uuid, p_host text, p_request uuid, p_home text, p_seat uuid, p_cause uuid
) returns jsonb language plpgsql as $$
declare
    w workplace; s slot; r request; changed jsonb; refusal text; room int;
begin
    -- The ledger's lock order: workplace, slots, request. Each statement sees what was committed before.
    select workplace.* into w from workplace join slot using (workplace_id)
        where slot.slot_id = p_slot and slot.municipality = p_host for update of workplace;
    if not found then return jsonb_build_object('missing', 'slot'); end if;
    perform 1 from slot where workplace_id = w.workplace_id and municipality = p_host
        order by slot_id for update;
    select * into s from slot where slot_id = p_slot and municipality = p_host;
    select * into r from request where request_id = p_request and municipality = p_home for update;
    if not found or r.by_hand then return jsonb_build_object('missing', 'request'); end if;
    if s.shared_with <> 'public' and p_host <> p_home then return jsonb_build_object('apart', true); end if;
    room := ledger_room(w, s.starts_on, s.ends_on);
    refusal := case
        when r.state <> 'open' then 'request_is_closed'
        when s.shared_with = 'administration' and s.administration is distinct from r.administration
            then 'not_shared'
        when exists (
            select 1 from offer o where o.learner_id = r.learner_id and o.municipality = p_home
            and o.state in ('open', 'confirmed') and o.starts_on <= s.ends_on and s.starts_on <= o.ends_on
            and not (cardinality(o.weekdays) > 0 and cardinality(s.weekdays) > 0
                     and not o.weekdays && s.weekdays)
        ) then 'learner_is_placed'
        when s.withdrawn_at is not null then 'slot_is_withdrawn'
        when s.taken >= s.seats then 'slot_is_full'
        when room < 1 then 'workplace_is_full'
        when supervisor_room(s) < 1 then 'supervisor_is_full'
    end;
    if refusal is not null then return jsonb_build_object('refusal', refusal); end if;
    insert into seat (seat_id, municipality, workplace_id, slot_id, starts_on, ends_on, supervisor_id,
                      cause_id, told, reserved_at)
        values (p_seat, p_host, w.workplace_id, p_slot, s.starts_on, s.ends_on, s.supervisor_id, p_cause,
                false, clock_timestamp());
    update slot set taken = taken + 1 where slot_id = p_slot;
    with now_left as (
        select o.slot_id, case when o.withdrawn_at is not null then 0 else greatest(0, least(
            o.seats - o.taken, case when o.slot_id = p_slot then room - 1
            else ledger_room(w, o.starts_on, o.ends_on) end, supervisor_room(o))) end as n
        from slot o where o.workplace_id = w.workplace_id and o.municipality = p_host
    ), moved as (
        update slot set seats_left = now_left.n, capacity_revision = capacity_revision + 1
        from now_left where slot.slot_id = now_left.slot_id and slot.seats_left <> now_left.n
        returning slot.slot_id, slot.seats_left, slot.capacity_revision
    ), listed as (
        update listing set seats_left = moved.seats_left from moved where listing.slot_id = moved.slot_id
    )
    select coalesce(jsonb_agg(to_jsonb(moved) order by moved.slot_id), '[]') into changed from moved;
    return jsonb_build_object(
        'slot', to_jsonb(s), 'request', to_jsonb(r), 'changed', changed,
        'learner', (select jsonb_build_object(
            'born_on', l.born_on, 'programme', l.programme, 'study_year', l.study_year,
            'security_marking', l.security_marking,
            'shown_on', (select max(c.shown_on) from vault.background_check c
                         where c.learner_id = l.learner_id))
            from vault.learner l where l.learner_id = r.learner_id and l.municipality = p_home),
        'settings', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from rule_setting t
                     where t.municipality = p_home),
        'supervisor', (select jsonb_build_object('is_adult', v.is_adult, 'most_at_once', v.most_at_once,
            'in_the_tasks_since', v.in_the_tasks_since)
            from vault.supervisor v where v.supervisor_id = s.supervisor_id and v.municipality = p_host));
end $$
""",
)
"""The reservation of a single seat as one statement: `domain.Ledger` says the same, and a test compares."""


def upgrade() -> None:
    op.create_table(
        "administration",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("committee", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "code", name=op.f("pk_administration")),
    )
    op.create_table(
        "classification_code",
        sa.Column("classification", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("classification", "code", name=op.f("pk_classification_code")),
    )
    op.create_table(
        "education_provider",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("org_number", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_education_provider")),
        sa.UniqueConstraint("org_number", name=op.f("uq_education_provider_org_number")),
    )
    op.create_table(
        "learning_centre",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("lies_in", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_learning_centre")),
    )
    op.create_table(
        "listing",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("home", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("employer", sa.String(length=200), nullable=False),
        sa.Column("workplace", sa.String(length=200), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("occupation_name", sa.String(length=200), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("seats_left", sa.Integer(), nullable=False),
        sa.Column("shared_with", sa.String(length=40), nullable=False),
        sa.Column("named_municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            sa.Computed(
                "to_tsvector('swedish', employer || ' ' || workplace || ' ' || occupation_name || ' ' ||"
                " coalesce(description, ''))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_listing")),
    )
    op.create_index("ix_listing_home", "listing", ["home", "starts_on"], unique=False)
    op.create_index("ix_listing_occupation", "listing", ["occupation", "starts_on"], unique=False)
    op.create_index("ix_listing_place", "listing", ["latitude", "longitude"], unique=False)
    op.create_index("ix_listing_words", "listing", ["words"], unique=False, postgresql_using="gin")
    op.create_table(
        "locality",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("lies_in", sa.String(length=40), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("inhabitants", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_locality")),
    )
    op.create_index("ix_locality_lies_in", "locality", ["lies_in"], unique=False)
    op.create_table(
        "occupation_group",
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_occupation_group")),
    )
    op.create_table(
        "postal_code",
        sa.Column("postal_code", sa.String(length=5), nullable=False),
        sa.Column("town", sa.String(length=200), nullable=False),
        sa.Column("lies_in", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("postal_code", name=op.f("pk_postal_code")),
    )
    op.create_table(
        "public_count",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("placement_type", sa.String(length=40), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "placement_type", "month", name=op.f("pk_public_count")),
    )
    op.create_table(
        "retention",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("document_type", sa.String(length=40), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("months between 0 and 1200", name=op.f("ck_retention_months")),
        sa.PrimaryKeyConstraint("municipality", "document_type", name=op.f("pk_retention")),
    )
    op.create_table(
        "rule_setting",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=4), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("switched_off", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "rule", "valid_from", name=op.f("pk_rule_setting")),
    )
    op.create_table(
        "ss12000_source",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("case_worker", sa.String(length=200), nullable=True),
        sa.Column("modified_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_ss12000_source")),
    )
    op.create_table(
        "document",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=True),
        sa.Column("about_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document")),
        schema="vault",
    )
    op.create_index("ix_document_about_id", "document", ["about_id"], unique=False, schema="vault")
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("asked", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("alarmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure")),
        schema="vault",
    )
    op.create_table(
        "erasure_answer",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("answer", sa.String(length=40), nullable=False),
        sa.Column("ground", sa.String(length=200), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", "service", name=op.f("pk_erasure_answer")),
        schema="vault",
    )
    op.create_table(
        "esf_month",
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("hours", sa.Numeric(precision=9, scale=1), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("send_again", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "municipality", "administration", "project", "month", name=op.f("pk_esf_month")
        ),
        schema="vault",
    )
    op.create_table(
        "view_log",
        sa.Column("view_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("viewed_by", sa.String(length=200), nullable=False),
        sa.Column("what", sa.String(length=40), nullable=False),
        sa.Column("viewed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("view_id", name=op.f("pk_view_log")),
        schema="vault",
    )
    op.create_index(
        "ix_view_log_learner_id", "view_log", ["learner_id", "viewed_at"], unique=False, schema="vault"
    )
    op.create_table(
        "cooperation_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("seats_per_year", sa.Integer(), nullable=False),
        sa.Column("outside_the_system", sa.Boolean(), nullable=False),
        sa.Column("renews", sa.Uuid(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("seats_per_year >= 0", name=op.f("ck_cooperation_agreement_seats_per_year")),
        sa.CheckConstraint(
            "valid_to is null or valid_to >= valid_from", name=op.f("ck_cooperation_agreement_period")
        ),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["employer.employer_id"], name=op.f("fk_cooperation_agreement_employer_id")
        ),
        sa.ForeignKeyConstraint(
            ["renews"], ["cooperation_agreement.agreement_id"], name=op.f("fk_cooperation_agreement_renews")
        ),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_cooperation_agreement")),
        sa.UniqueConstraint("renews", name=op.f("uq_cooperation_agreement_renews")),
    )
    op.create_index("ix_cooperation_agreement_valid_to", "cooperation_agreement", ["valid_to"], unique=False)
    op.create_table(
        "delegation",
        sa.Column("delegation_id", sa.Uuid(), nullable=False),
        sa.Column("centre", sa.String(length=40), nullable=False),
        sa.Column("granted_by", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("school", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["centre"], ["learning_centre.code"], name=op.f("fk_delegation_centre")),
        sa.PrimaryKeyConstraint("delegation_id", name=op.f("pk_delegation")),
    )
    op.create_index("ix_delegation_centre", "delegation", ["centre"], unique=False)
    op.create_table(
        "employer_merge",
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("kept", sa.Uuid(), nullable=False),
        sa.Column("gone", sa.Uuid(), nullable=False),
        sa.Column("moved", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("municipalities", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("merged_by", sa.String(length=200), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["gone"], ["employer.employer_id"], name=op.f("fk_employer_merge_gone")),
        sa.ForeignKeyConstraint(["kept"], ["employer.employer_id"], name=op.f("fk_employer_merge_kept")),
        sa.PrimaryKeyConstraint("merge_id", name=op.f("pk_employer_merge")),
    )
    op.create_table(
        "occupation",
        sa.Column("concept_id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("occupation_group", sa.String(length=4), nullable=False),
        sa.ForeignKeyConstraint(
            ["occupation_group"], ["occupation_group.code"], name=op.f("fk_occupation_occupation_group")
        ),
        sa.PrimaryKeyConstraint("concept_id", name=op.f("pk_occupation")),
    )
    op.create_index("ix_occupation_group", "occupation", ["occupation_group"], unique=False)
    op.create_table(
        "background_check",
        sa.Column("check_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("shown_on", sa.Date(), nullable=False),
        sa.Column("checked_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["vault.learner.learner_id"], name=op.f("fk_background_check_learner_id")
        ),
        sa.PrimaryKeyConstraint("check_id", name=op.f("pk_background_check")),
        schema="vault",
    )
    op.create_index(
        op.f("ix_background_check_learner_id"),
        "background_check",
        ["learner_id"],
        unique=False,
        schema="vault",
    )
    op.create_table(
        "esf_participation",
        sa.Column("participation_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["vault.learner.learner_id"], name=op.f("fk_esf_participation_learner_id")
        ),
        sa.PrimaryKeyConstraint("participation_id", name=op.f("pk_esf_participation")),
        sa.UniqueConstraint(
            "learner_id",
            "project",
            "starts_on",
            name=op.f("uq_esf_participation_learner_id_project_starts_on"),
        ),
        schema="vault",
    )
    op.create_table(
        "sole_trader",
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["employer.employer_id"], name=op.f("fk_sole_trader_employer_id")
        ),
        sa.PrimaryKeyConstraint("employer_id", name=op.f("pk_sole_trader")),
        sa.UniqueConstraint("blind_index", name=op.f("uq_sole_trader_blind_index")),
        schema="vault",
    )
    op.create_table(
        "source_token",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["ss12000_source.source_id"], name=op.f("fk_source_token_source_id")
        ),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_source_token")),
        schema="vault",
    )
    op.create_table(
        "asking",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("about", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_asking_workplace_id")
        ),
        sa.PrimaryKeyConstraint("workplace_id", "cause_id", name=op.f("pk_asking")),
    )
    op.create_index("ix_asking_asked_on", "asking", ["workplace_id", "asked_on"], unique=False)
    op.create_table(
        "demand",
        sa.Column("demand_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("needed_by", sa.Date(), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["employer.employer_id"], name=op.f("fk_demand_employer_id")
        ),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_demand_workplace_id")
        ),
        sa.PrimaryKeyConstraint("demand_id", name=op.f("pk_demand")),
    )
    op.create_index("ix_demand_municipality", "demand", ["municipality", "occupation"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("occupation", sa.String(length=4), nullable=False),
        sa.Column("locality", sa.String(length=40), nullable=False),
        sa.Column("finishing", sa.String(length=7), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_invitation_workplace_id")
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_invitation")),
    )
    op.create_table(
        "placement_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("must_sign", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("second_signer", sa.String(length=40), nullable=True),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("signed_terms", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("drawn_up_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.placement_id"], name=op.f("fk_placement_agreement_placement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_placement_agreement")),
        sa.UniqueConstraint("placement_id", name=op.f("uq_placement_agreement_placement_id")),
    )
    op.create_table(
        "presence",
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("hours", sa.Numeric(precision=4, scale=1), nullable=False),
        sa.Column("confirmed_by", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "confirmed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("days between 0 and 7", name=op.f("ck_presence_days")),
        sa.CheckConstraint("hours between 0 and 80", name=op.f("ck_presence_hours")),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.placement_id"], name=op.f("fk_presence_placement_id")
        ),
        sa.PrimaryKeyConstraint("placement_id", "week", name=op.f("pk_presence")),
    )
    op.create_table(
        "reception_week",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.CheckConstraint("learners >= 0", name=op.f("ck_reception_week_learners")),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_reception_week_workplace_id")
        ),
        sa.PrimaryKeyConstraint("workplace_id", "week", name=op.f("pk_reception_week")),
    )
    op.create_table(
        "substitution",
        sa.Column("wanted", sa.String(length=20), nullable=False),
        sa.Column("substitute", sa.String(length=20), nullable=False),
        sa.Column("percentage", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["substitute"], ["occupation.concept_id"], name=op.f("fk_substitution_substitute")
        ),
        sa.ForeignKeyConstraint(["wanted"], ["occupation.concept_id"], name=op.f("fk_substitution_wanted")),
        sa.PrimaryKeyConstraint("wanted", "substitute", name=op.f("pk_substitution")),
    )
    op.create_index("ix_substitution_wanted", "substitution", ["wanted"], unique=False)
    op.create_table(
        "home",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=True),
        sa.Column("postal_code", sa.String(length=5), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_home_workplace_id")
        ),
        sa.PrimaryKeyConstraint("workplace_id", name=op.f("pk_home")),
        schema="vault",
    )
    op.create_table(
        "supervisor",
        sa.Column("supervisor_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=True),
        sa.Column("phone", sa.String(length=40), nullable=True),
        sa.Column("is_adult", sa.Boolean(), nullable=False),
        sa.Column("in_the_tasks_since", sa.Date(), nullable=True),
        sa.Column("trained_by", sa.String(length=200), nullable=True),
        sa.Column("trained_on", sa.Date(), nullable=True),
        sa.Column("most_at_once", sa.Integer(), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("left_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("most_at_once between 1 and 50", name=op.f("ck_supervisor_most_at_once")),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name=op.f("fk_supervisor_workplace_id")
        ),
        sa.PrimaryKeyConstraint("supervisor_id", name=op.f("pk_supervisor")),
        schema="vault",
    )
    op.create_index(
        "ix_supervisor_workplace_id", "supervisor", ["workplace_id"], unique=False, schema="vault"
    )
    op.create_table(
        "amendment",
        sa.Column("amendment_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["placement_agreement.agreement_id"], name=op.f("fk_amendment_agreement_id")
        ),
        sa.PrimaryKeyConstraint("amendment_id", name=op.f("pk_amendment")),
        sa.UniqueConstraint("agreement_id", "number", name=op.f("uq_amendment_agreement_id_number")),
    )
    op.create_table(
        "signature",
        sa.Column("signature_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(length=40), nullable=False),
        sa.Column("administration", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("party", sa.String(length=40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("outside_the_system", sa.Boolean(), nullable=False),
        sa.Column("of_revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["placement_agreement.agreement_id"], name=op.f("fk_signature_agreement_id")
        ),
        sa.PrimaryKeyConstraint("signature_id", name=op.f("pk_signature")),
        sa.UniqueConstraint(
            "agreement_id",
            "of_revision",
            "party",
            "place",
            name=op.f("uq_signature_agreement_id_of_revision_party_place"),
        ),
        schema="vault",
    )
    op.add_column(
        "employer", sa.Column("kind", sa.String(length=40), server_default="company", nullable=False)
    )
    op.add_column("employer", sa.Column("sni", sa.String(length=5), nullable=True))
    op.add_column("employer", sa.Column("employees", sa.Integer(), nullable=True))
    op.add_column(
        "employer", sa.Column("is_sole_trader", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column(
        "employer",
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('swedish', name)", persisted=True),
            nullable=False,
        ),
    )
    op.add_column("employer", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.alter_column("employer", "org_number", existing_type=sa.VARCHAR(length=10), nullable=True)
    op.create_index("ix_employer_words", "employer", ["words"], unique=False, postgresql_using="gin")
    op.add_column(
        "offer",
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
    )
    op.add_column(
        "offer",
        sa.Column("declared", postgresql.ARRAY(sa.String(length=40)), server_default="{}", nullable=False),
    )
    op.add_column(
        "request",
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("school", sa.Column("name", sa.String(length=200), server_default="", nullable=False))
    op.add_column("school", sa.Column("administration", sa.String(length=40), nullable=True))
    op.add_column("school", sa.Column("provider_id", sa.Uuid(), nullable=True))
    op.add_column(
        "school",
        sa.Column(
            "school_forms", postgresql.ARRAY(sa.String(length=40)), server_default="{}", nullable=False
        ),
    )
    op.add_column("school", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.create_foreign_key(
        op.f("fk_school_provider_id"), "school", "education_provider", ["provider_id"], ["provider_id"]
    )
    op.add_column("seat", sa.Column("supervisor_id", sa.Uuid(), nullable=True))
    op.add_column("seat", sa.Column("cause_id", sa.Uuid(), nullable=True))
    op.add_column("slot", sa.Column("description", sa.String(length=2000), nullable=True))
    op.add_column(
        "slot",
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
    )
    op.add_column("slot", sa.Column("supervisor_id", sa.Uuid(), nullable=True))
    op.add_column(
        "slot",
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("slot", sa.Column("withdrawn_because", sa.String(length=40), nullable=True))
    op.add_column("workplace", sa.Column("cfar", sa.String(length=8), nullable=True))
    op.add_column("workplace", sa.Column("address", sa.String(length=200), nullable=True))
    op.add_column("workplace", sa.Column("postal_code", sa.String(length=5), nullable=True))
    op.add_column("workplace", sa.Column("latitude", sa.Double(), nullable=True))
    op.add_column("workplace", sa.Column("longitude", sa.Double(), nullable=True))
    op.add_column(
        "contact", sa.Column("is_main", sa.Boolean(), server_default="true", nullable=False), schema="vault"
    )
    op.add_column("contact", sa.Column("administration", sa.String(length=40), nullable=True), schema="vault")
    op.add_column("contact", sa.Column("title", sa.String(length=100), nullable=True), schema="vault")
    op.add_column("contact", sa.Column("phone", sa.String(length=40), nullable=True), schema="vault")
    op.drop_constraint(
        op.f("uq_contact_municipality_role_workplace_id"), "contact", schema="vault", type_="unique"
    )
    op.create_index(
        "uq_contact_main",
        "contact",
        ["municipality", "role", "workplace_id"],
        unique=True,
        schema="vault",
        postgresql_nulls_not_distinct=True,
        postgresql_where="is_main",
    )
    op.add_column("learner", sa.Column("phone", sa.String(length=40), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("address", sa.String(length=200), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("postal_code", sa.String(length=5), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("programme", sa.String(length=40), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("study_year", sa.Integer(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("aims_at", sa.String(length=4), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("finishes_on", sa.Date(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("left_on", sa.Date(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("case_worker", sa.String(length=200), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("sealed", sa.LargeBinary(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("wrapped_key", sa.LargeBinary(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("blind_index", sa.LargeBinary(), nullable=True), schema="vault")
    op.add_column("learner", sa.Column("number_kind", sa.String(length=40), nullable=True), schema="vault")
    op.create_unique_constraint(
        op.f("uq_learner_municipality_administration_blind_index"),
        "learner",
        ["municipality", "administration", "blind_index"],
        schema="vault",
    )
    protect("administration", "municipality")
    protect("reception_week", "municipality")
    protect("demand", "municipality")
    protect("invitation", "municipality")
    protect("asking", "municipality")
    protect("cooperation_agreement", "municipality")
    protect("rule_setting", "municipality")
    protect("retention", "municipality")
    protect("public_count", "municipality")
    protect("presence", "administration")
    protect("placement_agreement", "administration")
    protect("amendment", "administration")
    protect("ss12000_source", "administration")
    protect("supervisor", "municipality", schema="vault")
    protect("sole_trader", "municipality", schema="vault")
    protect("home", "municipality", schema="vault")
    protect("signature", "administration", schema="vault")
    protect("document", "administration", schema="vault")
    protect("background_check", "administration", schema="vault")
    protect("view_log", "administration", schema="vault")
    protect("esf_participation", "administration", schema="vault")
    protect("esf_month", "administration", schema="vault")
    protect("erasure", "administration", schema="vault")
    protect("erasure_answer", "administration", schema="vault")
    protect("source_token", "administration", schema="vault")
    facts(VIEWS)
    op.execute(
        "insert into listing (slot_id, home, workplace_id, employer_id, employer, workplace, placement_type,"
        " occupation, occupation_name, locality, starts_on, ends_on, seats_left, shared_with,"
        " named_municipalities, owner) select s.slot_id, s.municipality, s.workplace_id,"
        " s.employer_id, e.name, w.name, s.placement_type, s.occupation, s.occupation, s.locality,"
        " s.starts_on, s.ends_on, s.seats_left, s.shared_with,"
        " s.named_municipalities, s.administration from slot s join employer e"
        " using (employer_id) join workplace w using (workplace_id) where s.withdrawn_at is null and not"
        " s.own_found"
    )
    for statement in RESERVE:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what the new tables hold is not thrown away; restore a backup instead")
