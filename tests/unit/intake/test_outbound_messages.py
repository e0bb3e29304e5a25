"""Outbound messages of Salesforce: the names of records come out, nothing else gets in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.outbound_messages import BrokenMessageError, Notification, read_outbound_message

ORGANISATION = "00D5g0000000001EAA"


def envelope(*notifications: str, organisation: str = ORGANISATION, before: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organisation}</OrganizationId><ActionId>04k5g000000000AAAA</ActionId>"
        '<SessionId xsi:nil="true"/><EnterpriseUrl>https://x</EnterpriseUrl><PartnerUrl>https://y</PartnerUrl>'
        f"{''.join(notifications)}</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def notification(id_="04l5g000000000AAAA", object_="Opportunity", record="0065g00000000AAAAA", more=""):
    return (
        f'<Notification><Id>{id_}</Id><sObject xsi:type="sf:{object_}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        f"<sf:Id>{record}</sf:Id>{more}</sObject></Notification>"
    )


def test_the_changed_records_are_named_with_their_kind_and_their_delivery():
    body = envelope(notification(), notification("04lB", "Account", "001B", "<sf:Name>Ignored</sf:Name>"))

    message = read_outbound_message(body)

    assert message.organisation_id == ORGANISATION
    assert message.notifications == (
        Notification("04l5g000000000AAAA", "Opportunity", "0065g00000000AAAAA"),
        Notification("04lB", "Account", "001B"),
    )


UNREADABLE = ("utf-7", "shift_jis", "DTF-8", "idna", "punycode", "base64", "undefined")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not XML"),
        (b"{}", "not XML"),
        (b"<a><b></a>", "not XML"),
        (envelope(), "no notification"),
        (envelope(notification(), organisation=""), "no organisation"),
        (envelope(notification(record="")), "without Id"),
        (envelope("<Notification><Id>1</Id></Notification>"), "without Id"),
        (envelope(*(notification(f"04l{n}") for n in range(101))), "more than 100"),
        (envelope(notification(), before="<!DOCTYPE x>"), "document type"),
        (envelope(notification(), before='<!DOCTYPE x [<!ENTITY a "b">]>'), "document type"),
        (b"<a>" * 50, "nested"),
        *((f'<?xml version="1.0" encoding="{name}"?><a/>'.encode(), "encoding") for name in UNREADABLE),
    ],
)
def test_what_is_no_outbound_message_is_refused_with_a_reason(body, why):
    with pytest.raises(BrokenMessageError, match=why):
        read_outbound_message(body)


@given(st.binary(max_size=300))
def test_no_body_makes_anything_but_a_refusal_escape(body):
    with contextlib.suppress(BrokenMessageError):
        read_outbound_message(body)
