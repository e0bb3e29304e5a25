"""commitment, relationship, references and care

The previous version of the code may still be running while this migrates: everything here is new or may be null.
"""

import sqlalchemy as sa
from alembic import op

from app.store.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_standing",
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("commitment_level", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("commitment_gaps", sa.Text(), server_default="", nullable=False),
        sa.Column("is_customer", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("permissions", sa.Text(), server_default="", nullable=False),
        sa.Column("strongest_permission", sa.Text(), nullable=True),
        sa.Column("offer_level", sa.SmallInteger(), nullable=True),
        sa.Column("offer_is_stale", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("personal_level", sa.SmallInteger(), nullable=True),
        sa.Column("personal_latest", sa.SmallInteger(), nullable=True),
        sa.Column("recognitions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reference_low", sa.SmallInteger(), nullable=True),
        sa.Column("reference_high", sa.SmallInteger(), nullable=True),
        sa.Column("reference_coverage", sa.SmallInteger(), nullable=True),
        sa.Column("high_impact_traits", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_high_impact", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("reference_state", sa.Text(), nullable=True),
        sa.Column(
            "available_from",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("care_bucket", sa.Text(), nullable=True),
        sa.Column("care_is_inferred", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("care_conflict", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("is_in_limbo", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("has_agreed_value", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column(
            "next_call_on",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("roles", sa.Text(), server_default="", nullable=False),
        sa.Column("stance", sa.Text(), nullable=True),
        sa.Column("contradictions", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "next_change_on",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("run_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("care_conflict in (0, 1)", name=op.f("ck_account_standing_care_conflict")),
        sa.CheckConstraint("care_is_inferred in (0, 1)", name=op.f("ck_account_standing_care_is_inferred")),
        sa.CheckConstraint("commitment_level between 0 and 11", name=op.f("ck_account_standing_commitment_level")),
        sa.CheckConstraint("has_agreed_value in (0, 1)", name=op.f("ck_account_standing_has_agreed_value")),
        sa.CheckConstraint("is_customer in (0, 1)", name=op.f("ck_account_standing_is_customer")),
        sa.CheckConstraint("is_high_impact in (0, 1)", name=op.f("ck_account_standing_is_high_impact")),
        sa.CheckConstraint("is_in_limbo in (0, 1)", name=op.f("ck_account_standing_is_in_limbo")),
        sa.CheckConstraint("offer_is_stale in (0, 1)", name=op.f("ck_account_standing_offer_is_stale")),
        sa.CheckConstraint("offer_level between 0 and 4", name=op.f("ck_account_standing_offer_level")),
        sa.CheckConstraint("personal_level between 0 and 4", name=op.f("ck_account_standing_personal_level")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_standing")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_account_standing_next_change_on",
        "account_standing",
        ["next_change_on"],
        unique=False,
        sqlite_where=sa.text("next_change_on is not null"),
        postgresql_where=sa.text("next_change_on is not null"),
    )
    op.create_table(
        "reference_request",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opportunity_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("contact_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "requested_on",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "needed_by",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "scheduled_for",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("expected_grade", sa.Text(), nullable=True),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('new', 'approved', 'not_approved', 'scheduled', 'completed', 'confirmed', 'cancelled')",
            name=op.f("ck_reference_request_state"),
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_reference_request")),
    )
    op.create_index("ix_reference_request_account_id", "reference_request", ["account_id"], unique=False)
    op.create_index("ix_reference_request_opportunity_id", "reference_request", ["opportunity_id"], unique=False)
    op.create_table(
        "reference_request_step",
        sa.Column("step_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "on_day",
            sa.String(length=10).with_variant(sa.String(length=10, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("step_id", name=op.f("pk_reference_request_step")),
    )
    op.create_index(
        op.f("ix_reference_request_step_request_id"), "reference_request_step", ["request_id"], unique=False
    )
    op.add_column("account", sa.Column("employees", sa.Integer(), nullable=True))
    op.add_column("account", sa.Column("region", sa.Text(), nullable=True))
    op.add_column("contact_role", sa.Column("role", sa.Text(), nullable=True))
    op.add_column("opportunity", sa.Column("product", sa.Text(), nullable=True))
    op.add_column("opportunity", sa.Column("term_months", sa.Integer(), nullable=True))
    op.drop_index("ix_opportunity_sold", table_name="opportunity")
    op.create_index(
        "ix_opportunity_sold",
        "opportunity",
        [
            "account_id",
            "close_on",
            "created_on",
            "type",
            "home_amount",
            "is_won",
            "is_closed",
            "is_deleted",
            "term_months",
        ],
        unique=False,
        sqlite_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
        postgresql_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_opportunity_sold", table_name="opportunity")
    op.create_index(
        "ix_opportunity_sold",
        "opportunity",
        ["account_id", "close_on", "created_on", "type", "home_amount", "is_won", "is_closed", "is_deleted"],
        unique=False,
        sqlite_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
        postgresql_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
    )
    op.drop_column("opportunity", "term_months")
    op.drop_column("opportunity", "product")
    op.drop_column("contact_role", "role")
    op.drop_column("account", "region")
    op.drop_column("account", "employees")
    op.drop_index(op.f("ix_reference_request_step_request_id"), table_name="reference_request_step")
    op.drop_table("reference_request_step")
    op.drop_index("ix_reference_request_opportunity_id", table_name="reference_request")
    op.drop_index("ix_reference_request_account_id", table_name="reference_request")
    op.drop_table("reference_request")
    op.drop_index(
        "ix_account_standing_next_change_on",
        table_name="account_standing",
        sqlite_where=sa.text("next_change_on is not null"),
        postgresql_where=sa.text("next_change_on is not null"),
    )
    op.drop_table("account_standing")
