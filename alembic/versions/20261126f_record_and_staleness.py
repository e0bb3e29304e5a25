"""the record of references, what was promised, success and staleness beside the other measures

The previous version of the code may still be running while this migrates: everything here is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FLAGS = ("promise_is_overdue", "personal_is_stale", "reference_is_stale", "care_is_stale", "success_is_stale")
COUNTS = ("references_given", "references_won", "asks_used", "ask_balance")
LINES = ("promised_permissions", "customer_success", "champion_success")
WORDS = ("reference_record", "reference_surprise", "care_before", "care_decision", "urgency")
DAYS = ("renewal_on", "permissions_until")


def upgrade() -> None:
    day = sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql")
    for column in (
        *(sa.Column(name, sa.SmallInteger(), server_default="0", nullable=False) for name in FLAGS),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in COUNTS),
        *(sa.Column(name, sa.Text(), server_default="", nullable=False) for name in LINES),
        *(sa.Column(name, sa.Text(), nullable=True) for name in WORDS),
        *(sa.Column(name, day, nullable=True) for name in DAYS),
        sa.Column("offer_before", sa.SmallInteger(), nullable=True),
        sa.Column("days_to_accept", sa.Integer(), nullable=True),
    ):
        op.add_column("account_standing", column)


def downgrade() -> None:
    for name in (*FLAGS, *COUNTS, *LINES, *WORDS, *DAYS, "offer_before", "days_to_accept"):
        op.drop_column("account_standing", name)
