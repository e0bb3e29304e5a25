"""what accounts were worth before the runs of a day

The previous version of the code may still be running while this migrates: it keeps nothing of it, and needs nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worth_before",
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("before_day", sa.String(10).with_variant(sa.String(10, collation="C"), "postgresql"), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("percentile", sa.SmallInteger()),
        sa.Column("was_customer", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "before_day", name=op.f("pk_worth_before")),
        sa.Index("ix_worth_before_before_day", "before_day"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("worth_before")
