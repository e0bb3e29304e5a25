"""The tables, once, for both databases.

Conventions that the SQL elsewhere relies on: ids are text in binary collation; business dates are ISO text, so
that comparing needs no dialect; flags are 0 or 1; money is 64-bit minor units of the reporting currency.
Mirror tables have no foreign keys to each other: an opportunity may arrive before its account.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant: `timestamptz` on PostgreSQL, ISO text on SQLite. Naive values are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(sa.String(32) if sqlite else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give it a time zone")
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        return moment.astimezone(UTC)


Binary = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text compared byte by byte: ids that differ only in case are different ids."""
Day = sa.String(10).with_variant(sa.String(10, collation="C"), "postgresql")
Flag = sa.SmallInteger()
Money = sa.BigInteger()
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _present(table: str, column: str) -> sa.Index:
    """Most rows hold no value in these columns: the index covers only those that do.

    Otherwise SQLite learns from its statistics that the index tells nothing, and reads the whole table instead.
    """
    return _few(table, column, "is not null")


def _few(table: str, column: str, condition: str) -> sa.Index:
    where = sa.text(f"{column} {condition}")
    return sa.Index(f"ix_{table}_{column}", column, sqlite_where=where, postgresql_where=where)


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, Flag, nullable=False, server_default="0")


def _is_flag(name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{name} in (0, 1)", name=name)


account = sa.Table(
    "account",
    metadata,
    sa.Column("id", Binary, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("parent_id", Binary),
    sa.Column("merged_into_id", Binary),
    sa.Column("domain", Binary),
    sa.Column("currency", sa.String(3)),
    sa.Column("owner_id", Binary),
    sa.Column("industry", sa.Text),
    sa.Column("employees", sa.Integer),
    sa.Column("region", sa.Text),
    _flag("is_deleted"),
    sa.Column("shown", sa.Text, nullable=False, server_default="{}"),
    sa.Column("written", sa.Text),
    sa.Column("pulled_in", sa.BigInteger, nullable=False, server_default="0"),
    _is_flag("is_deleted"),
    _present("account", "parent_id"),
    _present("account", "merged_into_id"),
    _present("account", "domain"),
    _few("account", "is_deleted", "= 1"),
    sqlite_with_rowid=False,
    # What the CRM shows changes with each write. Beside the old version of its row that touches none of the indexes.
    postgresql_with={"fillfactor": 50},
)

opportunity = sa.Table(
    "opportunity",
    metadata,
    sa.Column("id", Binary, primary_key=True),
    sa.Column("account_id", Binary),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("amount", sa.Text),
    sa.Column("currency", sa.String(3)),
    sa.Column("created_on", Day),
    sa.Column("close_on", Day),
    _flag("is_won"),
    _flag("is_closed"),
    _flag("is_deleted"),
    sa.Column("type", sa.Text, nullable=False, server_default="unknown"),
    sa.Column("probability", sa.Integer),
    sa.Column("product", sa.Text),
    sa.Column("term_months", sa.Integer),
    sa.Column("home_amount", Money),
    sa.Column("rate", sa.Text),
    sa.Column("rate_on", Day),
    sa.Column("pulled_in", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("changed_in", sa.BigInteger, nullable=False, server_default="0"),
    _is_flag("is_won"),
    _is_flag("is_closed"),
    _is_flag("is_deleted"),
    sa.CheckConstraint("length(created_on) = 10", name="created_on"),
    sa.CheckConstraint("length(close_on) = 10", name="close_on"),
    sa.Index("ix_opportunity_account_id", "account_id"),
    # What a valuation asks of the sales of an account, answered without touching the rows: SQLite checks the flags
    # again, and would look up every row for them.
    sa.Index(
        "ix_opportunity_sold",
        "account_id",
        "close_on",
        "created_on",
        "type",
        "home_amount",
        "is_won",
        "is_closed",
        "is_deleted",
        "term_months",
        sqlite_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
        postgresql_where=sa.text("is_won = 1 and is_closed = 1 and is_deleted = 0"),
    ),
    sqlite_with_rowid=False,
)

contact_role = sa.Table(
    "contact_role",
    metadata,
    sa.Column("id", Binary, primary_key=True),
    sa.Column("opportunity_id", Binary, nullable=False, index=True),
    sa.Column("contact_id", Binary, nullable=False, index=True),
    sa.Column("role", sa.Text),
    _flag("is_deleted"),
    sa.Column("pulled_in", sa.BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

currency_rate = sa.Table(
    "currency_rate",
    metadata,
    sa.Column("currency", sa.String(3), primary_key=True),
    sa.Column("start_on", sa.String(10), primary_key=True),
    sa.Column("rate", sa.Text, nullable=False),
    sa.Column("decimal_places", sa.SmallInteger),
    sa.Column("pulled_in", sa.BigInteger, nullable=False, server_default="0"),
)

adjustment = sa.Table(
    "adjustment",
    metadata,
    sa.Column("id", Binary, primary_key=True),
    sa.Column("opportunity_id", Binary, nullable=False, index=True),
    sa.Column("amount", sa.Text),
    sa.Column("currency", sa.String(3)),
    sa.Column("dated_on", Day),
    _flag("is_deleted"),
    sa.Column("pulled_in", sa.BigInteger, nullable=False, server_default="0"),
)

advocacy_event = sa.Table(
    "advocacy_event",
    metadata,
    sa.Column("event_id", Binary, primary_key=True),
    sa.Column("source_system", Binary, nullable=False),
    sa.Column("source_event_id", Binary, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("occurred_on", Day, nullable=False),
    sa.Column("occurred_at", UtcDateTime),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("recorded_on", Day, nullable=False),
    sa.Column("account_id", Binary, nullable=False),
    sa.Column("contact_id", Binary),
    sa.Column("opportunity_id", Binary),
    sa.Column("referred_account_id", Binary),
    sa.Column("referred_contact_id", Binary),
    sa.Column("referred_domain", Binary),
    sa.Column("status", sa.Text, nullable=False, server_default="verified"),
    sa.Column("share_percent", sa.Text),
    sa.Column("weight", sa.Integer),
    sa.Column("reference_share", sa.Text),
    sa.Column("amount", sa.Text),
    sa.Column("currency", sa.String(3)),
    sa.Column("valid_from", Day),
    sa.Column("valid_to", Day),
    sa.Column("polarity", sa.Text, nullable=False, server_default="advocate"),
    sa.Column("title", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("attributes", sa.Text, nullable=False, server_default="{}"),
    sa.Column("referral_id", Binary),
    sa.UniqueConstraint("source_system", "source_event_id"),
    sa.CheckConstraint("length(occurred_on) = 10", name="occurred_on"),
    sa.Index("ix_advocacy_event_account_id", "account_id"),
    _present("advocacy_event", "opportunity_id"),
    _present("advocacy_event", "referred_account_id"),
    _present("advocacy_event", "referred_contact_id"),
    _present("advocacy_event", "referred_domain"),
    _present("advocacy_event", "referral_id"),
)

# `advocacy_event.status` is the last of these, kept there because every valuation asks for it.
event_status = sa.Table(
    "event_status",
    metadata,
    sa.Column("change_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("event_id", Binary, nullable=False, index=True),
    sa.Column("was", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
)

credit_line = sa.Table(
    "credit_line",
    metadata,
    sa.Column("line_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("account_id", Binary, nullable=False),
    sa.Column("opportunity_id", Binary, nullable=False),
    sa.Column("buyer_id", Binary, nullable=False),
    sa.Column("event_id", Binary),
    sa.Column("tier", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("share_numerator", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("share_denominator", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("amount", Money, nullable=False),
    sa.Column("rule", sa.Text, nullable=False, server_default=""),
    # What the line was computed from: the mirror will have been overwritten when somebody asks why it changed.
    sa.Column("net", Money, nullable=False),
    sa.Column("dated_on", Day),
    sa.Column("own_amount", sa.Text),
    sa.Column("own_currency", sa.String(3)),
    sa.Column("rate", sa.Text),
    sa.Column("rate_on", Day),
    sa.Column("policy_version", sa.Text, nullable=False),
    sa.Column("valid_from_run", sa.BigInteger, nullable=False),
    sa.Column("valid_to_run", sa.BigInteger),
    sa.Index("ix_credit_line_account_id", "account_id"),
    sa.Index("ix_credit_line_opportunity_id", "opportunity_id"),
)

account_value = sa.Table(
    "account_value",
    metadata,
    sa.Column("account_id", Binary, primary_key=True),
    *[
        sa.Column(name, Money, nullable=False, server_default="0")
        for name in (
            "direct",
            "referred",
            "total",
            "given",
            "conserved",
            "network",
            "influence",
            "touched",
            "pipeline",
            "group_direct",
            "group_referred",
        )
    ],
    sa.Column("rank", sa.Integer),
    sa.Column("issues", sa.Text, nullable=False, server_default=""),
    sa.Column("next_change_on", Day),
    sa.Column("policy_version", sa.Text, nullable=False, server_default=""),
    sa.Column("run_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_account_value_direct", "direct"),
    sa.Index("ix_account_value_total", "total"),
    sa.Index("ix_account_value_next_change_on", "next_change_on"),
    _present("account_value", "rank"),
    sqlite_with_rowid=False,
)

account_engagement = sa.Table(
    "account_engagement",
    metadata,
    sa.Column("account_id", Binary, primary_key=True),
    sa.Column("points", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("whole_points", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("points_band", sa.Text),
    _flag("is_detractor"),
    _flag("is_participant"),
    *[
        sa.Column(name, sa.Integer, nullable=False, server_default="0")
        for name in ("participation_days", "feedback_adopted", "feedback_declined", "feedback_open")
    ],
    sa.Column("quadrant", sa.Text),
    sa.Column("percentile", sa.SmallInteger),
    *[
        sa.Column(name, Money, nullable=False, server_default="0")
        for name in (
            "direct_new",
            "direct_upsell",
            "direct_renewal",
            "direct_refund",
            "direct_unknown",
            "revenue_at_risk",
        )
    ],
    *[sa.Column(name, Money) for name in ("crv", "acquisition_savings", "brv")],
    sa.Column("next_change_on", Day),
    sa.Column("run_id", sa.BigInteger, nullable=False, server_default="0"),
    _is_flag("is_detractor"),
    _is_flag("is_participant"),
    sa.CheckConstraint("percentile between 0 and 100", name="percentile"),
    _present("account_engagement", "next_change_on"),
    sqlite_with_rowid=False,
)

account_standing = sa.Table(
    "account_standing",
    metadata,
    sa.Column("account_id", Binary, primary_key=True),
    sa.Column("commitment_level", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("commitment_gaps", sa.Text, nullable=False, server_default=""),
    _flag("is_customer"),
    sa.Column("renewal_on", Day),
    sa.Column("permissions", sa.Text, nullable=False, server_default=""),
    sa.Column("strongest_permission", sa.Text),
    sa.Column("permissions_until", Day),
    sa.Column("promised_permissions", sa.Text, nullable=False, server_default=""),
    _flag("promise_is_overdue"),
    sa.Column("offer_level", sa.SmallInteger),
    sa.Column("offer_before", sa.SmallInteger),
    _flag("offer_is_stale"),
    sa.Column("personal_level", sa.SmallInteger),
    sa.Column("personal_latest", sa.SmallInteger),
    _flag("personal_is_stale"),
    sa.Column("recognitions", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reference_low", sa.SmallInteger),
    sa.Column("reference_high", sa.SmallInteger),
    sa.Column("reference_coverage", sa.SmallInteger),
    sa.Column("high_impact_traits", sa.SmallInteger, nullable=False, server_default="0"),
    _flag("is_high_impact"),
    _flag("reference_is_stale"),
    sa.Column("references_given", sa.Integer, nullable=False, server_default="0"),
    sa.Column("references_won", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reference_record", sa.Text),
    sa.Column("reference_surprise", sa.Text),
    sa.Column("days_to_accept", sa.Integer),
    sa.Column("asks_used", sa.Integer, nullable=False, server_default="0"),
    sa.Column("ask_balance", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reference_state", sa.Text),
    sa.Column("available_from", Day),
    sa.Column("care_bucket", sa.Text),
    sa.Column("care_before", sa.Text),
    _flag("care_is_inferred"),
    _flag("care_is_stale"),
    _flag("care_conflict"),
    sa.Column("care_decision", sa.Text),
    _flag("is_in_limbo"),
    _flag("has_agreed_value"),
    sa.Column("customer_success", sa.Text, nullable=False, server_default=""),
    sa.Column("champion_success", sa.Text, nullable=False, server_default=""),
    _flag("success_is_stale"),
    sa.Column("next_call_on", Day),
    sa.Column("roles", sa.Text, nullable=False, server_default=""),
    sa.Column("stance", sa.Text),
    sa.Column("contradictions", sa.Text, nullable=False, server_default=""),
    sa.Column("urgency", sa.Text),
    sa.Column("next_change_on", Day),
    sa.Column("run_id", sa.BigInteger, nullable=False, server_default="0"),
    *[
        _is_flag(name)
        for name in (
            "is_customer",
            "offer_is_stale",
            "is_high_impact",
            "care_is_inferred",
            "care_conflict",
            "is_in_limbo",
            "has_agreed_value",
        )
    ],
    sa.CheckConstraint("commitment_level between 0 and 11", name="commitment_level"),
    sa.CheckConstraint("offer_level between 0 and 4", name="offer_level"),
    sa.CheckConstraint("personal_level between 0 and 4", name="personal_level"),
    _present("account_standing", "next_change_on"),
    sqlite_with_rowid=False,
)

reference_request = sa.Table(
    "reference_request",
    metadata,
    sa.Column("request_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("opportunity_id", Binary, nullable=False),
    sa.Column("account_id", Binary, nullable=False),
    sa.Column("contact_id", Binary),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("requested_on", Day, nullable=False),
    sa.Column("needed_by", Day),
    sa.Column("scheduled_for", Day),
    sa.Column("expected_grade", sa.Text),
    sa.Column("override_reason", sa.Text),
    sa.CheckConstraint(
        "state in ('new', 'approved', 'not_approved', 'scheduled', 'completed', 'confirmed', 'cancelled')",
        name="state",
    ),
    sa.Index("ix_reference_request_account_id", "account_id"),
    sa.Index("ix_reference_request_opportunity_id", "opportunity_id"),
)

reference_request_step = sa.Table(
    "reference_request_step",
    metadata,
    sa.Column("step_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("request_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("on_day", Day, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
)

worth_before = sa.Table(
    "worth_before",
    metadata,
    sa.Column("account_id", Binary, primary_key=True),
    sa.Column("before_day", Day, primary_key=True),
    sa.Column("total", Money, nullable=False),
    sa.Column("percentile", sa.SmallInteger),
    sa.Column("was_customer", Flag, nullable=False),
    sa.Index("ix_worth_before_before_day", "before_day"),
    sqlite_with_rowid=False,
)

opportunity_issue = sa.Table(
    "opportunity_issue",
    metadata,
    sa.Column("issue_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("account_id", Binary),
    sa.Column("opportunity_id", Binary),
    sa.Column("event_id", Binary),
    sa.Index("ix_opportunity_issue_account_id", "account_id"),
    sa.Index("ix_opportunity_issue_opportunity_id", "opportunity_id"),
)

dirty = sa.Table(
    "dirty",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("id", Binary, primary_key=True),
    sqlite_with_rowid=False,
)

state = sa.Table(
    "state",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("fields_digest", sa.Text, nullable=False),
    sa.Column("watermark", UtcDateTime),
    sa.Column("resume", sa.Text),
    sa.Column("full_in_run", sa.BigInteger),
    sa.Column("full_done_on", Day),
)

row_problem = sa.Table(
    "row_problem",
    metadata,
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("record_id", Binary, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("attribute", sa.Text, primary_key=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("run_id", sa.BigInteger, nullable=False),
)

problem_overflow = sa.Table(
    "problem_overflow",
    metadata,
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("attribute", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
)

policy = sa.Table(
    "policy",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
)

sync_run = sa.Table(
    "sync_run",
    metadata,
    sa.Column("run_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("slot", sa.Text, unique=True),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("phase", sa.Text, nullable=False, server_default=""),
    sa.Column("as_of", Day, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("policy_version", sa.Text, nullable=False),
    sa.Column("mapping_digest", sa.Text, nullable=False),
    sa.Column("plan_digest", sa.Text),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("heartbeat_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("report", sa.Text, nullable=False, server_default="{}"),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("status in ('running', 'ok', 'partial', 'held', 'failed', 'approved')", name="status"),
)

write_intent = sa.Table(
    "write_intent",
    metadata,
    sa.Column("run_id", sa.BigInteger, primary_key=True),
    sa.Column("account_id", Binary, primary_key=True),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("movement", Money, nullable=False, server_default="0"),
    sa.Column("outcome", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("shown_then", sa.Text, nullable=False),
    sa.Column("written_then", sa.Text, nullable=False),
    # Few are refused, and every page of accounts that is read asks for them.
    sa.Index(
        "ix_write_intent_refused",
        "account_id",
        sqlite_where=sa.text("outcome = 'rejected'"),
        postgresql_where=sa.text("outcome = 'rejected'"),
    ),
    # In the order in which they are sent.
    sa.Index(
        "ix_write_intent_unsettled",
        "run_id",
        "movement",
        sqlite_where=sa.text("(outcome is null or outcome = 'unknown')"),
        postgresql_where=sa.text("(outcome is null or outcome = 'unknown')"),
    ),
    sqlite_with_rowid=False,
)

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.Text),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("delivery_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("sender_id", Binary, nullable=False),
    sa.Column("body_sha256", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="stored"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", UtcDateTime, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("source", "sender_id"),
    sa.CheckConstraint("status in ('stored', 'done', 'dead')", name="status"),
    sa.Index("ix_delivery_status_next_attempt_at", "status", "next_attempt_at"),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("entry_id", Serial, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
)
