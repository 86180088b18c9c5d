"""The registry as its next version might be: a migration more."""

import shutil
from pathlib import Path

import kompetensnav_registry

NEXT = '''"""A column more, which this version does not know."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("slot", sa.Column("next_version", sa.String(10), nullable=True))


def downgrade():
    op.drop_column("slot", "next_version")
'''


def next_version(folder: Path) -> Path:
    """A copy of the registry with a migration more."""
    package = Path(kompetensnav_registry.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / package.name / "migrations/versions"
    last = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "9999_next.py").write_text(NEXT.format(last=last))
    return folder
