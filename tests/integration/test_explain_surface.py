"""What is shown of the lines behind a number lets a person do the sum again."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from companies import TODAY, TOKEN, build_company
from starlette.testclient import TestClient

from app.cli import main
from app.store.keys import save_key
from app.web.api import create_app
from connectors.salesforce.sandbox import Org, Sandbox


@pytest.fixture
def abroad(migrated_database_url):
    """E, whom B referred, bought for 800 euros: 1,000 dollars on the day of the deal."""
    with Sandbox(Org(multi_currency=True), token=TOKEN) as sandbox:
        sandbox.org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": Decimal("0.5"), "IsActive": True})
        dated = {"IsoCode": "EUR", "StartDate": "2025-05-01", "ConversionRate": Decimal("0.8")}
        sandbox.org.create("DatedConversionRate", dated)
        built = build_company(sandbox, migrated_database_url)
        built.account("E")
        built.deal("D-E", "E", 800, CurrencyIsoCode="EUR")
        built.refer("B-E", "B", "E")
        built.sync()
        yield built
        built.services.database.close()


def explain(company, name, capsys):
    """The table of the lines, as cells; the heading first."""
    with pytest.raises(SystemExit) as ended:
        main(["--set", f"database_url={company.services.settings.database_url}", "explain", name])
    assert ended.value.code == 0
    _, table, *_ = capsys.readouterr().out.split("\nMEASURE")
    return [re.split(r"\s{2,}", row) for row in f"MEASURE{table}".splitlines()]


def test_a_converted_line_tells_its_own_amount_and_the_rate(abroad, capsys):
    heading, own, *_ = explain(abroad, "E", capsys)

    shown = dict(zip(heading, own, strict=False))
    assert shown["AMOUNT"] == "1,000 USD"
    assert "800 EUR at 0.8 for 1 USD since 2025-05-01" in own


def test_every_row_has_its_day_and_a_referral_what_it_named(abroad, capsys):
    heading, own, referred, *_ = explain(abroad, "A", capsys)

    assert heading == ["MEASURE", "AMOUNT", "OPPORTUNITY", "BECAUSE OF", "DATE", "SHARE", "NAMED", "RULE"]
    assert own == ["direct", "100,000 USD", "D-A", "2025-06-01", "100 %", "unknown"]
    assert referred[:3] + referred[-4:] == [
        *("referred", "40,000 USD", "D-X"),
        *("2025-02-01", "100 %", "account", "equal"),
    ]


def test_the_page_tells_what_a_line_was_converted_from(abroad):
    _, secret = save_key(abroad.services.database, name="t", scopes=["read"], now=TODAY, who="t")
    with TestClient(create_app(abroad.services)) as client:
        client.auth = ("", secret)
        page = client.get(f"/accounts/{abroad.ids['E']}").text

    assert "800 EUR <small>at 0.8 for 1 USD since 2025-05-01</small>" in page
