"""Prospects in the open funnel that resemble customers who need us, with what they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.care import care_on
from app.domain.care_events import CARE_ANSWER, CARE_TYPES, Bucket, read_care_answer
from app.domain.events import VerifiedEvent, told
from app.domain.lookalikes import Kind, Lookalike, Profile, rank_lookalikes, traits_of
from app.domain.money import major_units
from app.domain.reference_events import REFERENCE_PROFILE, profile_on
from app.domain.sizes import size_band
from app.store.connection import Connection
from app.store.evidence import load_verified
from app.store.prospects import LikenessRow, load_likeness, load_products, load_prospects, load_told
from app.store.rates import load_places
from app.sync.services import Services

PROFILE_TYPES = (REFERENCE_PROFILE, CARE_ANSWER, "needs_shared")


@dataclass(frozen=True, slots=True)
class LookalikeView:
    """A prospect, the customer it resembles, and every reason. `pipeline`: in major units."""

    account: str
    name: str
    resembles: str
    resembles_name: str
    reasons: tuple[str, ...]
    pipeline: Decimal
    currency: str

    def as_json(self) -> dict[str, Any]:
        """Every field under its name, money as decimal text."""
        return {
            "account": self.account,
            "name": self.name,
            "resembles": self.resembles,
            "resembles_name": self.resembles_name,
            "reasons": list(self.reasons),
            "pipeline": str(self.pipeline),
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True)
class LookalikeList:
    """`ideals`: how many customers were looked at. `least`: kinds of things in common that were asked for.

    `needs_us`: False where a customer was named that is not known to.
    """

    found: tuple[LookalikeView, ...]
    ideals: int
    least: int
    needs_us: bool = True


def list_lookalikes(
    services: Services, account_id: str | None = None, *, least: int | None = None, top: int | None = None
) -> LookalikeList:
    """Prospects like the customers that need us, or like one account; the closest first.

    `least`: kinds of things in common at least; None: as the policy says.
    """
    policy, today = services.mapping.policy, services.today
    with services.database.read() as connection:
        needing = _list_needing(services, connection, today)
        chosen = [account_id] if account_id else needing
        ideals = _load_profiles(connection, chosen, today)
        prospects = _load_profiles(connection, load_prospects(connection), today)
        places = load_places(connection, policy.reporting_currency)
    asked = policy.care.least_shared if least is None else least
    ranked = rank_lookalikes(prospects, ideals, asked)[:top]
    found = tuple(_view(one, places, policy.reporting_currency) for one in ranked)
    return LookalikeList(found, len(ideals), asked, account_id is None or account_id in needing)


def _list_needing(services: Services, connection: Connection, today: date) -> list[str]:
    """The live accounts that are need-you today, answered or inferred."""
    events = load_verified(connection, load_told(connection, (CARE_ANSWER, "usage_report")), today, CARE_TYPES)
    rules = services.mapping.policy.care
    return [
        id_ for id_, known in events.items() if care_on(known, rules, today, is_customer=True).bucket is Bucket.NEED_YOU
    ]


def _load_profiles(connection: Connection, account_ids: Sequence[str], today: date) -> list[Profile]:
    rows = load_likeness(connection, account_ids)
    ids = [row.id for row in rows]
    products = load_products(connection, ids)
    events = load_verified(connection, ids, today, PROFILE_TYPES)
    return [
        Profile(
            row.id, row.name, traits_of(_describe(row, products.get(row.id, ()), events[row.id], today)), row.pipeline
        )
        for row in rows
    ]


def _describe(
    row: LikenessRow, products: Iterable[str], events: Sequence[VerifiedEvent], today: date
) -> Mapping[Kind, Iterable[str | None]]:
    """What the CRM says of an account, and what it said itself."""
    said = profile_on(events, today)
    return {
        Kind.REASON: _reasons(events, today),
        Kind.USE_CASE: said.use_cases,
        Kind.PRODUCT: (*products, *said.products),
        Kind.INDUSTRY: (row.industry, said.industry),
        Kind.SIZE: (size_band(row.employees or said.size),),
        Kind.REGION: (row.region, *said.regions),
        Kind.ROLE: said.roles,
        Kind.LANGUAGE: said.languages,
    }


def _reasons(events: Sequence[VerifiedEvent], today: date) -> list[str]:
    """Why they care, from the latest answer that says so; and what they told us they need."""
    answers = [said.reasons for _, said in told(events, CARE_ANSWER, read_care_answer, today) if said.reasons]
    needs = [_texts(event.attributes.get("needs")) for event in events if event.type == "needs_shared"]
    return [*(answers[-1] if answers else ()), *(need for listed in needs for need in listed)]


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _view(one: Lookalike, places: int, currency: str) -> LookalikeView:
    return LookalikeView(
        one.prospect.id,
        one.prospect.name,
        one.ideal.id,
        one.ideal.name,
        one.reasons,
        major_units(one.prospect.pipeline, places),
        currency,
    )
