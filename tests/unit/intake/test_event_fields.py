"""Reading one event: every value strict, every problem named, nothing guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from app.domain.events import AdvocacyEvent, Polarity
from app.domain.model import ReferralStatus
from app.intake.event_fields import Reader, RejectedEventError, read_event

REFERRAL = {
    "source_system": "hub",
    "source_event_id": "r-1",
    "type": "referral",
    "occurred_on": "2026-03-31",
    "account": "A",
    "referred_account": "B",
}


def reader(**values: object) -> Reader:
    return Reader(**{"normalise_id": str, **values})  # type: ignore[arg-type]


def problems_of(**changes: object) -> dict[str, str]:
    raw = {name: value for name, value in {**REFERRAL, **changes}.items() if value is not ...}
    with pytest.raises(RejectedEventError) as caught:
        read_event(raw, reader())
    return {problem.column: problem.message for problem in caught.value.problems}


def test_a_referral_from_text_has_every_default() -> None:
    event = read_event(REFERRAL, reader())

    assert event == AdvocacyEvent(
        source_system="hub",
        source_event_id="r-1",
        type="referral",
        occurred_on=date(2026, 3, 31),
        account="A",
        referred_account="B",
        status=None,
        polarity=Polarity.ADVOCATE,
    )


def test_every_column_is_read_into_its_own_type() -> None:
    raw = {
        **REFERRAL,
        "contact": "C",
        "opportunity": "O",
        "referred_contact": "C2",
        "referred_domain": "https://www.Müller.example/start",
        "status": "Claimed",
        "share_percent": "33.3333%",
        "weight": "3",
        "amount": "-1200.505",
        "currency": "eur",
        "valid_from": "2026-01-01",
        "valid_to": "2026-01-01",
        "polarity": "neutral",
        "title": " Dinner ",
        "url": "https://example.com/x?y=1",
        "attributes": '{"score": 9, "share": 0.5, "deep": {"list": [1, null, true]}}',
    }

    event = read_event(raw, reader())

    assert event.referred_domain == "xn--mller-kva.example"
    assert event.status is ReferralStatus.CLAIMED
    assert event.share_percent == Decimal("33.3333")
    assert (event.weight, event.amount, event.currency) == (3, Decimal("-1200.505"), "EUR")
    assert event.title == "Dinner"
    assert event.attributes == {"score": 9, "share": 0.5, "deep": {"list": [1, None, True]}}


def test_json_values_read_the_same_as_text() -> None:
    event = read_event({**REFERRAL, "share_percent": Decimal("12.5"), "weight": 2, "account": 17}, reader())

    assert (event.share_percent, event.weight, event.account) == (Decimal("12.5"), 2, "17")


@pytest.mark.parametrize("name", [True, [], {}, 1.5, "", "x" * 256, "a\x00b"])
def test_a_milestone_names_its_referral_by_its_id_or_not_at_all(name: object) -> None:
    raw = {**REFERRAL, "type": "referral.won", "attributes": {"referral": name}}

    with pytest.raises(RejectedEventError, match="source_event_id of the referral"):
        read_event(raw, reader())

    assert read_event({**raw, "attributes": {"referral": "R-1"}}, reader()).named_referral == "R-1"
    assert read_event({**raw, "attributes": {"referral": 17}}, reader()).named_referral == "17"
    assert read_event({**raw, "attributes": {}}, reader()).named_referral is None


def test_an_instant_gives_the_date_of_the_policys_time_zone() -> None:
    raw = {**REFERRAL, "occurred_on": "", "occurred_at": "2026-03-31T23:30:00Z"}

    event = read_event(raw, reader(zone=ZoneInfo("Europe/Berlin")))

    assert event.occurred_on == date(2026, 4, 1)
    assert event.occurred_at == datetime(2026, 3, 31, 23, 30, tzinfo=UTC)


def test_record_ids_are_normalised_and_a_bad_one_is_a_problem_of_its_column() -> None:
    def normalise(text: str) -> str:
        if text == "B":
            raise ValueError("is no record id")
        return text * 2

    with pytest.raises(RejectedEventError) as caught:
        read_event(REFERRAL, reader(normalise_id=normalise))

    assert [str(problem) for problem in caught.value.problems] == ["referred_account: is no record id"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("occurred_on", "31.03.2026", "must be a date"),
        ("occurred_on", "2026-02-30", "not a day"),
        ("occurred_on", "2026-3-1", "must be a date"),
        ("occurred_on", "٢٠٢٦-٠٣-٣١", "must be a date"),
        ("occurred_at", "2026-03-31T10:00:00", "offset"),
        ("occurred_at", "0001-01-01T00:00:00+14:00", "calendar"),
        ("amount", "NaN", "must be a number"),
        ("amount", "Infinity", "must be a number"),
        ("amount", "1e999", "must be a number"),
        ("amount", "1,000.00", "must be a number"),
        ("amount", "1000000000000000", "too large"),
        ("amount", True, "must be a number"),
        ("share_percent", "100.1", "between 0 and 100"),
        ("share_percent", "-1", "between 0 and 100"),
        ("share_percent", "0.12345", "decimal places"),
        ("weight", "0", "whole number"),
        ("weight", "1.5", "whole number"),
        ("weight", True, "whole number"),
        ("currency", "EURO", "currency code"),
        ("status", "done", "must be one of"),
        ("polarity", "happy", "must be one of"),
        ("referred_domain", "not a domain", "domain"),
        ("referred_domain", "localhost", "domain"),
        ("url", "javascript:alert(1)", "https://"),
        ("url", 'https://x.example/" onmouseover="', "https://"),
        ("title", "a\x00b", "UTF-8"),
        ("title", "a\ud800b", "UTF-8"),
        ("account", "a\nb\tc", "control"),
        ("account", "a" * 256, "longer"),
        ("attributes", "[1]", "JSON object"),
        ("attributes", '{"a": NaN}', "NaN"),
        ("attributes", '{"a": 1, "a": 2}', "twice"),
        ("attributes", '{"a": "\\ud800"}', "surrogate"),
        ("type", "reference call", "reference_call"),
        ("type", "x_Ä", "not a known type"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(column: str, value: object, reason: str) -> None:
    assert reason in problems_of(**{column: value})[column]


def test_all_problems_come_together() -> None:
    problems = problems_of(occurred_on="x", account=..., amount="y", acount="z")

    assert set(problems) == {"occurred_on", "account", "amount", "acount"}
    assert "account" in problems["acount"]


def test_a_referral_must_point_at_something() -> None:
    assert "points at something" in problems_of(referred_account=...)[""]


def test_shares_belong_to_their_types() -> None:
    assert "referral only" in problems_of(type="reference_call", share_percent="5")["share_percent"]
    assert "won_survey only" in problems_of(reference_share="0.5")["reference_share"]


def test_a_won_survey_needs_its_deal_and_share_but_no_account() -> None:
    raw = {**REFERRAL, "type": "won_survey", "account": "", "opportunity": "O", "reference_share": "0.25"}

    event = read_event({**raw, "referred_account": None}, reader())

    assert (event.account, event.reference_share) == ("", Decimal("0.25"))
    assert set(problems_of(type="won_survey")) == {"opportunity", "reference_share"}


def test_an_interval_cannot_end_before_it_starts() -> None:
    assert "before" in problems_of(valid_from="2026-02-01", valid_to="2026-01-31")["valid_to"]


def test_a_custom_type_says_what_it_is() -> None:
    full = {"family": "community", "basis": "count", "rung": None, "role": "supporter"}

    event = read_event({**REFERRAL, "type": "x_meetup", "attributes": dict(full)}, reader())

    assert event.type == "x_meetup"
    assert "family, basis, rung, role" in problems_of(type="x_meetup")["attributes"]
    assert "rung" in problems_of(type="x_meetup", attributes={**full, "rung": 12})["attributes"]
    assert "family" in problems_of(type="x_meetup", attributes={**full, "family": "x"})["attributes"]


def test_an_id_that_is_surely_of_another_kind_is_refused_in_every_column_that_holds_one() -> None:
    told: list[tuple[str, str]] = []

    def doubt(column: str, record_id: str) -> str:
        told.append((column, record_id))
        return f"no {column}" if record_id.endswith("!") else ""

    columns = ("account", "contact", "opportunity", "referred_account", "referred_contact")
    wrong = {**REFERRAL, **{name: f"{name}!" for name in columns}, "attributes": {"rep": "R!"}}

    with pytest.raises(RejectedEventError) as caught:
        read_event(wrong, reader(doubt=doubt))

    assert [(one.column, one.message) for one in caught.value.problems] == [
        *((name, f"no {name}") for name in columns),
        ("attributes", "`rep`: no rep"),
    ]
    assert told == [*((name, f"{name}!") for name in columns), ("rep", "R!")]
    assert read_event({**REFERRAL, "attributes": {"rep": "Kim"}}, reader(doubt=doubt)).attributes == {"rep": "Kim"}
