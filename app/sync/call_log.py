"""One call a day: what came of a call, stored, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.calls import CALL_SKIPPED, CALL_TYPES, Buyer, buyer_on, next_call_on
from app.domain.care import care_on
from app.domain.care_events import CARE_ANSWER, Bucket
from app.domain.days import iso
from app.intake.assessments import record
from app.intake.strict_json import JsonValue
from app.store.calls import load_customers
from app.store.evidence import load_verified
from app.sync.answers import AccountView, find_account
from app.sync.calls import tell_skip
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """What came of a call, and what follows. `is_new`: it was not logged before.

    `action`: what the bucket asks for; of a call that was skipped, why it was.
    """

    account: str
    name: str
    event: str
    is_new: bool
    bucket: Bucket | None
    action: str
    next_call_on: date | None

    def as_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "name": self.name,
            "source_event_id": self.event,
            "is_new": self.is_new,
            "bucket": self.bucket,
            "action": self.action,
            "next_call_on": iso(self.next_call_on),
        }


def log_call(
    services: Services,
    account: str,
    answer: Mapping[str, JsonValue],
    *,
    contact: JsonValue = None,
    on: JsonValue = None,
) -> LoggedCall:
    """Store what a buyer answered, in one step; the same answer twice on one day is stored once.

    `answer`: the attributes of a `care_answer`. Raises ConfigError for an unknown account, RejectedEventError with
    everything that is wrong.
    """
    return _record(services, account, CARE_ANSWER, answer, {"contact": contact, "occurred_on": on})


def skip_call(services: Services, account: str, skip: Mapping[str, JsonValue], *, on: JsonValue = None) -> LoggedCall:
    """Store that a call did not take place. `skip`: the attributes of a `call_skipped`. Raises as `log_call` does."""
    return _record(services, account, CALL_SKIPPED, skip, {"occurred_on": on})


def _record(
    services: Services,
    account: str,
    code: str,
    attributes: Mapping[str, JsonValue],
    more: Mapping[str, JsonValue],
) -> LoggedCall:
    found = find_account(services, account)
    said: JsonValue = {name: value for name, value in attributes.items() if value not in (None, "", [])}
    # What they said is told by the bucket; the event as such speaks neither for nor against us.
    columns: dict[str, JsonValue] = {"type": code, "account": found.id, "polarity": "neutral", "attributes": said}
    columns |= {name: value for name, value in more.items() if value is not None}
    policy = services.mapping.policy
    reader = services.event_reader()
    recorded = record(services.database, columns, reader, today=services.today, now=services.now(), policy=policy)
    return _logged(services, found, code, recorded.event.source_event_id, is_new=recorded.is_new)


def _logged(services: Services, account: AccountView, code: str, event: str, *, is_new: bool) -> LoggedCall:
    rules, today = services.mapping.policy.care, services.today
    with services.database.read() as connection:
        events = load_verified(connection, [account.id], today, CALL_TYPES)[account.id]
        customers = load_customers(connection, account_ids=[account.id])
    percentile = customers[0].percentile if customers else None
    standing = care_on(events, rules, today, is_customer=bool(customers))
    action = standing.action
    if code == CALL_SKIPPED:
        on = max((one.occurred_on for one in events if one.type == CALL_SKIPPED), default=today)
        action = " ".join(tell_skip(events, on))
    buyer = buyer_on(Buyer(account.id, percentile=percentile), events, rules, today)
    return LoggedCall(account.id, account.name, event, is_new, standing.bucket, action, next_call_on(buyer, rules))
