"""what an advocacy event counts as, and how that came about

The previous version of the code may still be running while this migrates: it leaves the new column empty, so its
milestones name no referral until they are sent again.
"""

import sqlalchemy as sa
from alembic import op

from app.store.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BINARY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PRESENT = sa.text("referral_id is not null")


def upgrade() -> None:
    op.create_table(
        "event_status",
        sa.Column(
            "change_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("event_id", BINARY, nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_event_status")),
    )
    op.create_index("ix_event_status_event_id", "event_status", ["event_id"])
    op.add_column("advocacy_event", sa.Column("referral_id", BINARY, nullable=True))
    op.create_index(
        "ix_advocacy_event_referral_id",
        "advocacy_event",
        ["referral_id"],
        sqlite_where=PRESENT,
        postgresql_where=PRESENT,
    )


def downgrade() -> None:
    op.drop_index("ix_advocacy_event_referral_id", "advocacy_event")
    with op.batch_alter_table("advocacy_event", schema=None) as batch_op:
        batch_op.drop_column("referral_id")
    op.drop_index("ix_event_status_event_id", "event_status")
    op.drop_table("event_status")
