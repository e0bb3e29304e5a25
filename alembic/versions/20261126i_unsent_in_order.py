"""what is unsent is found in the order in which it is sent

The previous version of the code may still be running while this migrates: the index serves its questions as well.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNSETTLED = sa.text("(outcome is null or outcome = 'unknown')")


def upgrade() -> None:
    _replace("run_id", "movement")


def downgrade() -> None:
    _replace("run_id")


def _replace(*columns: str) -> None:
    op.drop_index("ix_write_intent_unsettled", table_name="write_intent")
    op.create_index(
        "ix_write_intent_unsettled",
        "write_intent",
        list(columns),
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    )
