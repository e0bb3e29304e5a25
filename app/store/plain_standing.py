"""What accounts hold up of which nobody told more than sales and plain deeds: joined and summed in the database.

The store's side of `domain.plain_standing`; `standing` judges one example of all that hold up the same.

`s_told`     accounts of which more is known than sales and plain deeds
`s_sale`     the latest won sale of each term of any account; a term is `UNNAMED` where the CRM names none
`s_spell`    type and day of a plain deed, or term and day of a sale -> what it holds up, a bit each, until when
`s_alike`    account that is not in `s_told` -> all that it holds up on the day, and the days of its own
`s_gem`      accounts that are hidden gems
`s_example`  what is held up -> one account that does
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import sqlalchemy as sa

from app.domain.contradictions import is_hidden_gem
from app.domain.model import Policy
from app.domain.plain_standing import HIDDEN_GEM, LICENCE_RUNG, Deed, Fact, Sale, list_spells
from app.domain.segments import Quadrant
from app.domain.standing import Frame
from app.store.bulk import analyze, insert_rows
from app.store.evidence import VERIFIED, Told
from app.store.staging import SOLD, create_temp, fill_temp, text_type

PAGE = 5_000
UNNAMED = -1
"""In `s_sale`: the CRM names no term."""


def sale_of(day: str, term: int) -> Sale:
    return Sale(date.fromisoformat(day), None if term == UNNAMED else term)


def stage_sales(connection: sa.Connection, as_of: date, *, touched: bool) -> None:
    """Fill `s_sale`. Sales without a term are grouped along their index; others are few, or a term is known of all."""
    text = text_type(connection)
    source = "opportunity o"
    owner = "coalesce(c.canonical_id, x.account_id)"
    joined = "left join s_canonical c on c.account_id = x.account_id"
    if touched:
        source = "s_member m join opportunity o on o.account_id = m.account_id"
        owner, joined = "w.owner_id", "join s_member w on w.account_id = x.account_id"
    fill_temp(
        connection,
        "s_sale",
        f"account_id {text} not null, term_months int not null, last_on {text} not null",
        *(
            f"select {owner}, x.term_months, max(x.last_on) from"
            f" (select o.account_id, {term} as term_months, max(o.close_on) as last_on from {source}"
            f" where {SOLD} and o.type <> 'refund' and {known} group by {grouped}) x {joined} group by 1, 2"
            for term, known, grouped in (
                (str(UNNAMED), "o.term_months is null", "o.account_id"),
                ("o.term_months", "o.term_months is not null", "o.account_id, o.term_months"),
            )
        ),
        given={"as_of": as_of.isoformat()},
    )


_PLAIN = (
    "e.type in :plain and e.polarity = 'advocate' and e.attributes = '{}'"
    " and e.valid_from is null and e.valid_to is null"
)


def stage_told(connection: sa.Connection, told: Told, plain: Sequence[str], as_of: date) -> None:
    """Fill `s_told`."""
    create_temp(connection, "s_told", f"id {text_type(connection)} primary key")
    connection.execute(
        sa.text(
            f"insert into s_told select distinct {told.owner} from {told.source} where {VERIFIED} and not ({_PLAIN})"
        ).bindparams(sa.bindparam("plain", expanding=True)),
        {"as_of": as_of.isoformat(), "plain": plain},
    )
    analyze(connection, "s_told")


_SALE = "sale"
"""In `s_spell`: no type of an event."""


def stage_spells(connection: sa.Connection, frame: Frame, told: Told, plain: Sequence[str]) -> Mapping[str, int]:
    """Fill `s_spell`; returns the bit of everything that may be held up."""
    text = text_type(connection)
    create_temp(
        connection,
        "s_spell",
        f"type {text}, day {text}, term_months int, bit bigint, until {text} not null,"
        " primary key (type, day, term_months, bit)",
    )
    deeds = connection.execute(
        sa.text(
            f"select distinct e.type, e.occurred_on from {told.source} where {VERIFIED} and e.type in :plain"
        ).bindparams(sa.bindparam("plain", expanding=True)),
        {"as_of": frame.as_of.isoformat(), "plain": plain},
    )
    facts: list[tuple[str, str, int, Fact]] = [
        (code, day, UNNAMED, Deed(code, date.fromisoformat(day))) for code, day in deeds
    ]
    sales = connection.exec_driver_sql("select distinct last_on, term_months from s_sale")
    facts += [(_SALE, day, term, sale_of(day, term)) for day, term in sales]
    longest: dict[tuple[str, str, int, str], str] = {}
    for code, day, term, fact in facts:
        for held, until in list_spells(fact, frame):
            key = code, day, term, held
            longest[key] = max(longest.get(key, ""), until.isoformat())
    bits = {held: 1 << place for place, held in enumerate(sorted({HIDDEN_GEM, *(held for *_, held in longest)}))}
    rows = [(code, day, term, bits[held], until) for (code, day, term, held), until in sorted(longest.items())]
    columns = ("type", "day", "term_months", "bit", "until")
    insert_rows(connection, "s_spell", columns, rows)
    analyze(connection, "s_spell")
    return bits


def stage_gems(connection: sa.Connection, policy: Policy, values: str, engagement: str, *, touched: bool) -> None:
    """Fill `s_gem` with the hidden gems: to compare shares of large amounts takes more than 64 bits."""
    # The staged table first, by `cross join`: see `closure`.
    only, joined = ("s_engaged t cross join ", " and e.account_id = t.id") if touched else ("", "")
    rows = connection.exec_driver_sql(
        f"select e.account_id, v.direct, v.referred, e.quadrant from {only}{engagement} e cross join {values} v"
        f" where e.quadrant in ('advocate', 'champion') and v.account_id = e.account_id{joined}",
        execution_options={"yield_per": PAGE},
    )
    gems = [
        (account,)
        for account, direct, referred, quadrant in rows
        if is_hidden_gem(direct, referred, Quadrant(quadrant), policy.triage)
    ]
    create_temp(connection, "s_gem", f"id {text_type(connection)} primary key")
    insert_rows(connection, "s_gem", ("id",), sorted(gems))
    analyze(connection, "s_gem")


_EVER = date.max.isoformat()


def stage_alike(connection: sa.Connection, told: Told, bits: Mapping[str, int], as_of: date) -> None:
    """Fill `s_alike` and `s_example`. What several facts hold up is held up by the one that does so for longest."""
    text = text_type(connection)
    licence = bits.get(LICENCE_RUNG, 0)
    fill_temp(
        connection,
        "s_alike",
        f"account_id {text}, held bigint, renewal_on {text}, next_change_on {text}",
        "select h.account_id, cast(sum(h.bit) as bigint),"
        f" nullif(max(case when h.bit = {licence} then h.until end), '{_EVER}'), nullif(min(h.until), '{_EVER}')"
        " from (select f.account_id, f.bit, max(f.until) as until from ("
        f"select {told.owner} as account_id, p.bit, p.until from {told.source}"
        f" join s_spell p on p.type = e.type and p.day = e.occurred_on where {VERIFIED}"
        " union all select s.account_id, p.bit, p.until from s_sale s join s_spell p"
        f" on p.type = '{_SALE}' and p.day = s.last_on and p.term_months = s.term_months"
        f" union all select id, {bits[HIDDEN_GEM]}, '{_EVER}' from s_gem"
        ") f where not exists (select 1 from s_told t where t.id = f.account_id) group by 1, 2) h group by 1",
        given={"as_of": as_of.isoformat()},
    )
    example = "select held, min(account_id) from s_alike group by held"
    fill_temp(connection, "s_example", f"held bigint, account_id {text}", example, key="held")
