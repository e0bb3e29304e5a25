"""The floors: every step of a night written by hand, in one straight line, as fast as the plain tools allow.

A process of its own, started by `run.py`. Nothing of the project is imported here: the sums it ends with are what the
project's totals are held against.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from company import WINDOW_DAYS, Referral, Size, referrals
from crm import Crm, Plain
from measure import Clock, peak_mb
from plain_store import STALE, SUMS, TOPS, VALUES, PlainStore, create_tables, finish_load, open_plain_store

CHUNK = 10_000
ACCOUNT = "Id Name ParentId Website CurrencyIsoCode OwnerId Industry IsDeleted".split()
DEAL = (
    "Id AccountId Name Amount CurrencyIsoCode CreatedDate CloseDate IsWon IsClosed IsDeleted Type Probability".split()
)

Quotes = dict[str, tuple[int, int]]
"""Cents = amount * first / second, by currency."""


def main(job: dict[str, Any]) -> dict[str, Any]:
    """All steps in order; `upload` says whether the updates are sent as well."""
    crm, size, servers = Crm(**job["crm"]), Size(*job["size"]), tuple(job["servers"])
    plain, store, updates = Plain(crm, job["poll_seconds"]), open_plain_store(job["target"]), Path(job["updates"])
    create_tables(store)
    store.insert("referral", [_referral_row(one) for one in referrals(size)])
    finish_load(store, ["referral"])
    steps = [
        *_load(plain, store, servers, size),
        _timed("aggregate", size.accounts, lambda: _aggregate(store), servers),
        _timed("difference", size.accounts, lambda: _write_updates(store, crm, updates), servers),
    ]
    with updates.open() as lines:
        stale = sum(1 for _ in lines) - 1
    if job["upload"]:
        steps.append(_timed("upload", stale, lambda: plain.upload(updates)))
    direct, referred = (int(one) for one in next(store.stream(SUMS)))
    return {
        "steps": steps,
        "calls": plain.calls,
        "stale": stale,
        "direct": _text(direct),
        "referred": _text(referred),
        "peak_mb": peak_mb(),
    }


def _text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _referral_row(one: Referral) -> tuple[str, ...]:
    until = one.day + timedelta(days=WINDOW_DAYS)
    return one.number, one.referrer, one.referred, one.day.isoformat(), until.isoformat()


def _timed(name: str, rows: int, work: Callable[[], None], servers: tuple[int, ...] = ()) -> dict[str, Any]:
    clock = Clock(servers)
    with clock:
        work()
    return {"name": name, "rows": rows, "wall": clock.wall, "cpu": clock.cpu}


def _load(plain: Plain, store: PlainStore, servers: tuple[int, ...], size: Size) -> Iterator[dict[str, Any]]:
    """Two clocks over one stream: reading and storing take turns, so that memory stays flat."""
    reading, storing, whole = Clock(), Clock(), Clock(servers)
    with whole:
        with reading:
            quotes = _quotes(plain)
        accounts = map(_account_row, _records(plain, "Account", [*ACCOUNT, *plain.crm.fields]))
        deals = (_deal_row(record, quotes) for record in _records(plain, "Opportunity", DEAL))
        for table, rows in (("account", accounts), ("opportunity", deals)):
            chunk: list[tuple[Any, ...]] | None = None
            while chunk is None or chunk:
                with reading:
                    chunk = list(islice(rows, CHUNK))
                with storing:
                    store.insert(table, chunk)
        with storing:
            finish_load(store, ["account", "opportunity"])
    rows_read = size.accounts + size.opportunities
    yield {"name": "download and read", "rows": rows_read, "wall": reading.wall, "cpu": reading.cpu}
    yield {"name": "store", "rows": rows_read, "wall": storing.wall, "cpu": whole.cpu - reading.cpu}


def _records(plain: Plain, name: str, fields: list[str]) -> Iterator[list[str]]:
    if plain.crm.has_currencies:
        return plain.rows(f"SELECT {', '.join(fields)} FROM {name}")
    at = fields.index("CurrencyIsoCode")
    asked = fields[:at] + fields[at + 1 :]
    return ([*row[:at], "", *row[at:]] for row in plain.rows(f"SELECT {', '.join(asked)} FROM {name}"))


def _quotes(plain: Plain) -> Quotes:
    quotes = {"": (100, 1)}
    if plain.crm.has_currencies:
        for currency, rate in plain.rows("SELECT IsoCode, ConversionRate FROM CurrencyType"):
            above, below = Decimal(rate).as_integer_ratio()
            quotes[currency] = (100 * below, above)
    return quotes


def _cents(amount: str, quote: tuple[int, int]) -> int | None:
    """Exact, halves up; amounts here are not negative."""
    if not amount:
        return None
    above, below = Decimal(amount).as_integer_ratio()
    above, below = above * quote[0], below * quote[1]
    return (2 * above + below) // (2 * below)


def _account_row(record: list[str]) -> tuple[Any, ...]:
    id_, name, parent, website, currency, owner, industry, deleted, *shown = record
    cents = (_cents(text, (100, 1)) for text in shown)
    return id_, name, parent or None, website, currency, owner, industry, int(deleted == "true"), *cents


def _deal_row(record: list[str], quotes: Quotes) -> tuple[Any, ...]:
    id_, account, name, amount, currency, created, close, won, closed, deleted, type_, probability = record
    flags = (int(flag == "true") for flag in (won, closed, deleted))
    cents = _cents(amount, quotes[currency])
    return id_, account, name, amount, currency, created[:10], close, *flags, type_, probability, cents


def _aggregate(store: PlainStore) -> None:
    store.execute(TOPS)
    store.execute("analyze top")
    store.execute(VALUES.format(today=datetime.now(UTC).date().isoformat()))
    store.commit()


def _write_updates(store: PlainStore, crm: Crm, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["Id", *crm.fields])
        for id_, *cents in store.stream(STALE):
            writer.writerow([id_, *map(_text, cents)])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
