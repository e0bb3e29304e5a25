"""the refused writes, which every page of accounts asks for

The previous version of the code may still be running while this migrates: an index is no concern of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    refused = sa.text("outcome = 'rejected'")
    op.create_index(
        "ix_write_intent_refused",
        "write_intent",
        ["account_id"],
        sqlite_where=refused,
        postgresql_where=refused,
    )


def downgrade() -> None:
    op.drop_index("ix_write_intent_refused", table_name="write_intent")
