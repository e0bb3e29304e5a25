"""the few accounts that are deleted, that have a rank, or that are worth about as much are found without a look at all

Otherwise the valuation after a single event reads all accounts for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FEW = (("account", "is_deleted", "is_deleted = 1"), ("account_value", "rank", "rank is not null"))


def upgrade() -> None:
    for table, column, condition in FEW:
        where = sa.text(condition)
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_account_value_direct", "account_value", ["direct"])
    # What accounts were compared with is kept in another form; without it the next valuation compares all of them.
    op.execute("delete from state where key = 'segment_standard'")


def downgrade() -> None:
    op.drop_index("ix_account_value_direct", table_name="account_value")
    for table, column, _ in FEW:
        op.drop_index(f"ix_{table}_{column}", table_name=table)
