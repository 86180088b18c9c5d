"""actors: employers, workplaces, contacts, supervisors and what was agreed with them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from kompetensnav_chassis.migrate import protect

revision = "0002_actors"
down_revision = "0001_ground"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "employer",
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("org_number", sa.String(10), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sector", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), server_default="company", nullable=False),
        sa.Column("sni", sa.String(5), nullable=True),
        sa.Column("employees", sa.Integer(), nullable=True),
        sa.Column("is_sole_trader", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "words",
            TSVECTOR(),
            sa.Computed("to_tsvector('swedish', name)", persisted=True),
            nullable=False,
        ),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("employer_id", name="pk_employer"),
        sa.UniqueConstraint("org_number", name="uq_employer_org_number"),
    )
    op.create_index("ix_employer_words", "employer", ["words"], postgresql_using="gin")
    op.create_table(
        "employer_merge",
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("kept", sa.Uuid(), nullable=False),
        sa.Column("gone", sa.Uuid(), nullable=False),
        sa.Column("moved", JSONB(), nullable=False),
        sa.Column("municipalities", ARRAY(sa.String(40)), nullable=False),
        sa.Column("merged_by", sa.String(200), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["gone"], ["employer.employer_id"], name="fk_employer_merge_gone"),
        sa.ForeignKeyConstraint(["kept"], ["employer.employer_id"], name="fk_employer_merge_kept"),
        sa.PrimaryKeyConstraint("merge_id", name="pk_employer_merge"),
    )
    op.create_table(
        "sole_trader",
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["employer_id"], ["employer.employer_id"], name="fk_sole_trader_employer_id"),
        sa.PrimaryKeyConstraint("employer_id", name="pk_sole_trader"),
        sa.UniqueConstraint("blind_index", name="uq_sole_trader_blind_index"),
        schema="vault",
    )
    op.create_table(
        "workplace",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(100), nullable=True),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("reception_capacity", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("cfar", sa.String(8), nullable=True),
        sa.Column("address", sa.String(200), nullable=True),
        sa.Column("postal_code", sa.String(5), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.CheckConstraint("reception_capacity >= 0", name="reception_capacity"),
        sa.ForeignKeyConstraint(["employer_id"], ["employer.employer_id"], name="fk_workplace_employer_id"),
        sa.PrimaryKeyConstraint("workplace_id", name="pk_workplace"),
        sa.UniqueConstraint("municipality", "ref", name="uq_workplace_municipality_ref"),
    )
    op.create_table(
        "home",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("address", sa.String(200), nullable=True),
        sa.Column("postal_code", sa.String(5), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["workplace_id"], ["workplace.workplace_id"], name="fk_home_workplace_id"),
        sa.PrimaryKeyConstraint("workplace_id", name="pk_home"),
        schema="vault",
    )
    op.create_table(
        "reception_week",
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.CheckConstraint("learners >= 0", name="learners"),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name="fk_reception_week_workplace_id"
        ),
        sa.PrimaryKeyConstraint("workplace_id", "week", name="pk_reception_week"),
    )
    op.create_table(
        "contact",
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(200), nullable=False),
        sa.Column("speaks", sa.String(2), nullable=False),
        sa.Column("is_main", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("administration", sa.String(40), nullable=True),
        sa.Column("title", sa.String(100), nullable=True),
        sa.Column("phone", sa.String(40), nullable=True),
        sa.PrimaryKeyConstraint("contact_id", name="pk_contact"),
        schema="vault",
    )
    op.create_index(
        "uq_contact_main",
        "contact",
        ["municipality", "role", "workplace_id"],
        unique=True,
        schema="vault",
        postgresql_where="is_main",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "supervisor",
        sa.Column("supervisor_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(200), nullable=True),
        sa.Column("phone", sa.String(40), nullable=True),
        sa.Column("is_adult", sa.Boolean(), nullable=False),
        sa.Column("in_the_tasks_since", sa.Date(), nullable=True),
        sa.Column("trained_by", sa.String(200), nullable=True),
        sa.Column("trained_on", sa.Date(), nullable=True),
        sa.Column("most_at_once", sa.Integer(), nullable=False),
        sa.Column("languages", ARRAY(sa.String(40)), nullable=False),
        sa.Column("left_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("most_at_once between 1 and 50", name="most_at_once"),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name="fk_supervisor_workplace_id"
        ),
        sa.PrimaryKeyConstraint("supervisor_id", name="pk_supervisor"),
        schema="vault",
    )
    op.create_index("ix_supervisor_workplace_id", "supervisor", ["workplace_id"], schema="vault")
    op.create_table(
        "delegation",
        sa.Column("delegation_id", sa.Uuid(), nullable=False),
        sa.Column("centre", sa.String(40), nullable=False),
        sa.Column("granted_by", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("school", sa.String(40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["centre"], ["learning_centre.code"], name="fk_delegation_centre"),
        sa.PrimaryKeyConstraint("delegation_id", name="pk_delegation"),
    )
    op.create_index("ix_delegation_centre", "delegation", ["centre"])
    op.create_table(
        "demand",
        sa.Column("demand_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("employer_id", sa.Uuid(), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=True),
        sa.Column("occupation", sa.String(4), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("needed_by", sa.Date(), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["employer_id"], ["employer.employer_id"], name="fk_demand_employer_id"),
        sa.ForeignKeyConstraint(["workplace_id"], ["workplace.workplace_id"], name="fk_demand_workplace_id"),
        sa.PrimaryKeyConstraint("demand_id", name="pk_demand"),
    )
    op.create_index("ix_demand_municipality", "demand", ["municipality", "occupation"])
    op.create_table(
        "invitation",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("workplace_id", sa.Uuid(), nullable=False),
        sa.Column("occupation", sa.String(4), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("finishing", sa.String(7), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workplace_id"], ["workplace.workplace_id"], name="fk_invitation_workplace_id"
        ),
        sa.PrimaryKeyConstraint("invitation_id", name="pk_invitation"),
    )
    op.create_table(
        "sharing_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("lead", sa.String(40), nullable=False),
        sa.Column("municipalities", ARRAY(sa.String(40)), nullable=False),
        sa.Column("placement_types", ARRAY(sa.String(40)), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("elsewhere", ARRAY(sa.String(40)), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", name="pk_sharing_agreement"),
    )
    op.create_table(
        "cooperation_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
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
        sa.CheckConstraint("seats_per_year >= 0", name="seats_per_year"),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name="period"),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["employer.employer_id"], name="fk_cooperation_agreement_employer_id"
        ),
        sa.ForeignKeyConstraint(
            ["renews"], ["cooperation_agreement.agreement_id"], name="fk_cooperation_agreement_renews"
        ),
        sa.PrimaryKeyConstraint("agreement_id", name="pk_cooperation_agreement"),
        sa.UniqueConstraint("renews", name="uq_cooperation_agreement_renews"),
    )
    op.create_index("ix_cooperation_agreement_valid_to", "cooperation_agreement", ["valid_to"])
    protect("sole_trader", "municipality", schema="vault")
    protect("workplace", "municipality")
    protect("home", "municipality", schema="vault")
    protect("reception_week", "municipality")
    protect("contact", "municipality", schema="vault")
    protect("supervisor", "municipality", schema="vault")
    protect("demand", "municipality")
    protect("invitation", "municipality")
    protect("cooperation_agreement", "municipality")


def downgrade() -> None:
    raise NotImplementedError("what these tables hold is not thrown away; restore a backup instead")
