"""how many records are wrong in the same way, beyond the examples kept

The previous version of the code may still be running while this migrates: it keeps every record, and knows no overflow.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "problem_overflow",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "attribute", "code", name=op.f("pk_problem_overflow")),
    )


def downgrade() -> None:
    op.drop_table("problem_overflow")
