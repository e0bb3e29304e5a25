"""The made-up part of the company that is measured: its referrals, and for the sandbox its records too.

The same numbers give the same company, so that two runs on one machine compare.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

FIRST_DAY = date(2022, 6, 1)
DAYS = 900
WINDOW_DAYS = 365
CHAIN_DELTA, CHAIN_DEPTH = Fraction(1, 2), 3
SOURCE = "bench"


@dataclass(frozen=True, slots=True)
class Size:
    accounts: int
    opportunities: int
    referrals: int

    def percent(self, percent: int) -> Size:
        return Size(*(max(100, one * percent // 100) for one in (self.accounts, self.opportunities, self.referrals)))

    def __str__(self) -> str:
        return f"{self.accounts:,} accounts, {self.opportunities:,} opportunities, {self.referrals:,} referrals"


@dataclass(frozen=True, slots=True)
class Referral:
    number: str
    referrer: str
    referred: str
    day: date


def record_id(prefix: str, number: int) -> str:
    """An id without capitals before its suffix, so that AAA is the right checksum."""
    return f"{prefix}5g0{number:09d}AAA"


def referrals(size: Size) -> Iterator[Referral]:
    """Anybody refers anybody: several referrers of one account, circles and members of one group included."""
    chance = random.Random(1)
    for number in range(size.referrals):
        referrer, referred = (record_id("001", chance.randrange(size.accounts)) for _ in range(2))
        yield Referral(f"r{number:08d}", referrer, referred, FIRST_DAY + timedelta(days=chance.randrange(DAYS)))


def write_exports(size: Size, folder: Path) -> None:
    """Account.csv and Opportunity.csv for the sandbox; the neutral server makes up its own."""
    _write(folder / "Account.csv", "Id Name ParentId Website Industry", _accounts(size))
    _write(folder / "Opportunity.csv", "Id AccountId Name StageName Amount CreatedDate CloseDate Type", _deals(size))


def _write(path: Path, header: str, rows: Iterator[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split())
        writer.writerows(rows)


def _accounts(size: Size) -> Iterator[tuple[str, ...]]:
    chance = random.Random(2)
    for number in range(size.accounts):
        parent = record_id("001", chance.randrange(number)) if number and chance.random() < 0.15 else ""
        site = f"https://www.example-{number}.com"
        yield record_id("001", number), f"Company {number}", parent, site, "Retail"


def _deals(size: Size) -> Iterator[tuple[str, ...]]:
    chance = random.Random(3)
    for number in range(size.opportunities):
        buyer = record_id("001", int(size.accounts * chance.random() ** 2))
        stage = chance.choices(("Closed Won", "Closed Lost", "Prospecting"), (30, 32, 38))[0]
        amount = f"{10 ** (3 + 2.5 * chance.random()):.2f}" if chance.random() > 0.02 else ""
        created = FIRST_DAY + timedelta(days=chance.randrange(DAYS))
        close = created + timedelta(days=chance.randrange(90))
        kind = chance.choice(("New Business", "Existing Business"))
        opened = f"{created.isoformat()}T09:00:00.000Z"
        yield record_id("006", number), buyer, f"Deal {number}", stage, amount, opened, close.isoformat(), kind
