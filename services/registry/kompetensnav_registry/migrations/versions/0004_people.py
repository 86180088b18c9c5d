"""people: learners, their placements' agreements, and what is kept and erased"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kompetensnav_chassis.migrate import protect

revision = "0004_people"
down_revision = "0003_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learner",
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(100), nullable=True),
        sa.Column("given_name", sa.String(100), nullable=False),
        sa.Column("family_name", sa.String(100), nullable=False),
        sa.Column("email", sa.String(200), nullable=True),
        sa.Column("guardian_email", sa.String(200), nullable=True),
        sa.Column("born_on", sa.Date(), nullable=False),
        sa.Column("school", sa.String(40), nullable=False),
        sa.Column("locality", sa.String(40), nullable=False),
        sa.Column("language", sa.String(40), nullable=False),
        sa.Column("speaks", sa.String(2), nullable=False),
        sa.Column("security_marking", sa.String(40), nullable=False),
        sa.Column("phone", sa.String(40), nullable=True),
        sa.Column("address", sa.String(200), nullable=True),
        sa.Column("postal_code", sa.String(5), nullable=True),
        sa.Column("programme", sa.String(40), nullable=True),
        sa.Column("study_year", sa.Integer(), nullable=True),
        sa.Column("aims_at", sa.String(4), nullable=True),
        sa.Column("finishes_on", sa.Date(), nullable=True),
        sa.Column("left_on", sa.Date(), nullable=True),
        sa.Column("case_worker", sa.String(200), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("blind_index", sa.LargeBinary(), nullable=True),
        sa.Column("number_kind", sa.String(40), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "security_marking = 'none' or case_worker is not null",
            name="protected_has_a_case_worker",
        ),
        sa.PrimaryKeyConstraint("learner_id", name="pk_learner"),
        sa.UniqueConstraint(
            "municipality",
            "administration",
            "blind_index",
            name="uq_learner_municipality_administration_blind_index",
        ),
        sa.UniqueConstraint(
            "municipality", "administration", "ref", name="uq_learner_municipality_administration_ref"
        ),
        schema="vault",
    )
    op.create_index(
        "ix_learner_protected",
        "learner",
        ["case_worker"],
        schema="vault",
        postgresql_where="security_marking <> 'none'",
    )
    op.create_table(
        "placement_agreement",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("must_sign", ARRAY(sa.String(40)), nullable=False),
        sa.Column("second_signer", sa.String(40), nullable=True),
        sa.Column("terms", JSONB(), nullable=False),
        sa.Column("signed_terms", JSONB(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("drawn_up_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.placement_id"], name="fk_placement_agreement_placement_id"
        ),
        sa.PrimaryKeyConstraint("agreement_id", name="pk_placement_agreement"),
        sa.UniqueConstraint("placement_id", name="uq_placement_agreement_placement_id"),
    )
    op.create_table(
        "amendment",
        sa.Column("amendment_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("before", JSONB(), nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        sa.Column("made_by", sa.String(40), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["placement_agreement.agreement_id"], name="fk_amendment_agreement_id"
        ),
        sa.PrimaryKeyConstraint("amendment_id", name="pk_amendment"),
        sa.UniqueConstraint("agreement_id", "number", name="uq_amendment_agreement_id_number"),
    )
    op.create_table(
        "retention",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("document_type", sa.String(40), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("months between 0 and 1200", name="months"),
        sa.PrimaryKeyConstraint("municipality", "document_type", name="pk_retention"),
    )
    op.create_table(
        "signature",
        sa.Column("signature_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("party", sa.String(40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("outside_the_system", sa.Boolean(), nullable=False),
        sa.Column("of_revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["placement_agreement.agreement_id"], name="fk_signature_agreement_id"
        ),
        sa.PrimaryKeyConstraint("signature_id", name="pk_signature"),
        sa.UniqueConstraint(
            "agreement_id",
            "of_revision",
            "party",
            "place",
            name="uq_signature_agreement_id_of_revision_party_place",
        ),
        schema="vault",
    )
    op.create_table(
        "document",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=True),
        sa.Column("about_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name="pk_document"),
        schema="vault",
    )
    op.create_index("ix_document_about_id", "document", ["about_id"], schema="vault")
    op.create_table(
        "background_check",
        sa.Column("check_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("shown_on", sa.Date(), nullable=False),
        sa.Column("checked_by", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["vault.learner.learner_id"], name="fk_background_check_learner_id"
        ),
        sa.PrimaryKeyConstraint("check_id", name="pk_background_check"),
        schema="vault",
    )
    op.create_index("ix_background_check_learner_id", "background_check", ["learner_id"], schema="vault")
    op.create_table(
        "esf_participation",
        sa.Column("participation_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.String(40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["vault.learner.learner_id"], name="fk_esf_participation_learner_id"
        ),
        sa.PrimaryKeyConstraint("participation_id", name="pk_esf_participation"),
        sa.UniqueConstraint(
            "learner_id", "project", "starts_on", name="uq_esf_participation_learner_id_project_starts_on"
        ),
        schema="vault",
    )
    op.create_table(
        "esf_month",
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("project", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("hours", sa.Numeric(9, 1), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("send_again", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("municipality", "administration", "project", "month", name="pk_esf_month"),
        schema="vault",
    )
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("learner_id", sa.Uuid(), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("asked", ARRAY(sa.String(40)), nullable=False),
        sa.Column("alarmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("case_worker", sa.String(200), nullable=True),
        sa.Column("blind_ref", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasure"),
        schema="vault",
    )
    op.create_index("ix_erasure_blind_ref", "erasure", ["blind_ref"], schema="vault")
    op.create_table(
        "erasure_answer",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(40), nullable=False),
        sa.Column("municipality", sa.String(40), nullable=False),
        sa.Column("administration", sa.String(40), nullable=False),
        sa.Column("answer", sa.String(40), nullable=False),
        sa.Column("ground", sa.String(200), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", "service", name="pk_erasure_answer"),
        schema="vault",
    )
    protect("learner", "administration", schema="vault")
    protect("placement_agreement", "administration")
    protect("amendment", "administration")
    protect("retention", "municipality")
    protect("signature", "administration", schema="vault")
    protect("document", "administration", schema="vault")
    protect("background_check", "administration", schema="vault")
    protect("esf_participation", "administration", schema="vault")
    protect("esf_month", "administration", schema="vault")
    protect("erasure", "administration", schema="vault")
    protect("erasure_answer", "administration", schema="vault")


def downgrade() -> None:
    raise NotImplementedError("what these tables hold is not thrown away; restore a backup instead")
