"""the ground: where a municipality's schools and administrations are, and what words and places are called"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kompetensnav_chassis.migrate import outbox_and_inbox, protect

revision = "0001_ground"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    outbox_and_inbox()
    op.execute("create schema vault")
    op.create_table(
        "administration",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("committee", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "code", name="pk_administration"),
    )
    op.create_table(
        "education_provider",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("org_number", sa.String(10), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name="pk_education_provider"),
        sa.UniqueConstraint("org_number", name="uq_education_provider_org_number"),
    )
    op.create_table(
        "school",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("cohort_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(200), server_default="", nullable=False),
        sa.Column("administration", sa.String(40), nullable=True),
        sa.Column("provider_id", sa.Uuid(), nullable=True),
        sa.Column("school_forms", ARRAY(sa.String(40)), server_default="{}", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["education_provider.provider_id"], name="fk_school_provider_id"
        ),
        sa.PrimaryKeyConstraint("municipality", "code", name="pk_school"),
        sa.UniqueConstraint("cohort_id", name="uq_school_cohort_id"),
    )
    op.create_table(
        "learning_centre",
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("lies_in", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_learning_centre"),
    )
    op.create_table(
        "occupation_group",
        sa.Column("code", sa.String(4), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_occupation_group"),
    )
    op.create_table(
        "occupation",
        sa.Column("concept_id", sa.String(20), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("occupation_group", sa.String(4), nullable=False),
        sa.ForeignKeyConstraint(
            ["occupation_group"], ["occupation_group.code"], name="fk_occupation_occupation_group"
        ),
        sa.PrimaryKeyConstraint("concept_id", name="pk_occupation"),
    )
    op.create_index("ix_occupation_group", "occupation", ["occupation_group"])
    op.create_table(
        "substitution",
        sa.Column("wanted", sa.String(20), nullable=False),
        sa.Column("substitute", sa.String(20), nullable=False),
        sa.Column("percentage", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["substitute"], ["occupation.concept_id"], name="fk_substitution_substitute"),
        sa.ForeignKeyConstraint(["wanted"], ["occupation.concept_id"], name="fk_substitution_wanted"),
        sa.PrimaryKeyConstraint("wanted", "substitute", name="pk_substitution"),
    )
    op.create_index("ix_substitution_wanted", "substitution", ["wanted"])
    op.create_table(
        "classification_code",
        sa.Column("classification", sa.String(40), nullable=False),
        sa.Column("code", sa.String(10), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("classification", "code", name="pk_classification_code"),
    )
    op.create_table(
        "locality",
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("lies_in", sa.String(40), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("inhabitants", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_locality"),
    )
    op.create_index("ix_locality_lies_in", "locality", ["lies_in"])
    op.create_table(
        "postal_code",
        sa.Column("postal_code", sa.String(5), nullable=False),
        sa.Column("town", sa.String(200), nullable=False),
        sa.Column("lies_in", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("postal_code", name="pk_postal_code"),
    )
    op.create_table(
        "rule_setting",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("rule", sa.String(4), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("switched_off", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "rule", "valid_from", name="pk_rule_setting"),
    )
    op.create_table(
        "view_log",
        sa.Column("view_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("viewed_by", sa.String(200), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("viewed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("view_id", name="pk_view_log"),
        schema="vault",
    )
    op.create_index("ix_view_log_learner_id", "view_log", ["learner_id", "viewed_at"], schema="vault")
    op.create_table(
        "ss12000_source",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("case_worker", sa.String(200), nullable=True),
        sa.Column("modified_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed", ARRAY(sa.String(40)), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source_id", name="pk_ss12000_source"),
    )
    op.create_table(
        "source_token",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["ss12000_source.source_id"], name="fk_source_token_source_id"
        ),
        sa.PrimaryKeyConstraint("source_id", name="pk_source_token"),
        schema="vault",
    )
    protect("administration", "municipality")
    protect("school", "municipality")
    protect("rule_setting", "municipality")
    protect("view_log", "administration", schema="vault")
    protect("source_token", "administration", schema="vault")
    protect("ss12000_source", "administration")


def downgrade() -> None:
    raise NotImplementedError("what these tables hold is not thrown away; restore a backup instead")
