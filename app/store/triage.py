"""Where the urgent things are, and the contradictions: the few accounts that a day begins with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import sqlalchemy as sa

from app.domain.engagement import RECOVERED
from app.domain.events import VerifiedEvent
from app.domain.triage import PROBLEM_CLOSED
from app.store.bulk import is_sqlite
from app.store.events import load_accounts_with
from app.store.evidence import load_verified
from app.store.staging import LIVE


def load_urgent(connection: sa.Connection, types: Collection[str], as_of: date) -> dict[str, list[VerifiedEvent]]:
    """Live account id -> its verified events of these types up to a day, and what ended them, oldest first.

    Accounts without such an event are left out; what was merged away speaks for the account that remains.
    """
    collation = "" if is_sqlite(connection) else ' collate "C"'
    query = sa.text(
        "with recursive up (id, next_id) as ("
        f" select a.id{collation}, a.merged_into_id{collation} from account a where a.id in ("
        "  select account_id from advocacy_event where type in :types and status = 'verified'"
        "  and occurred_on <= :as_of)"
        f" union select a.id{collation}, a.merged_into_id{collation} from up join account a on a.id = up.next_id)"
        " select distinct up.id from up join account a on a.id = up.id where up.next_id is null and a.is_deleted = 0"
    ).bindparams(sa.bindparam("types", expanding=True))
    urgent = connection.execute(query, {"types": sorted(types), "as_of": as_of.isoformat()}).scalars().all()
    return load_verified(connection, urgent, as_of, {*types, RECOVERED, PROBLEM_CLOSED})


def load_closings(connection: sa.Connection, types: Collection[str], as_of: date) -> dict[str, list[VerifiedEvent]]:
    """Live account id -> its verified closings up to a day, and the events of these types that they can mean."""
    accounts = load_accounts_with(connection, (PROBLEM_CLOSED,))
    return load_verified(connection, accounts, as_of, {*types, PROBLEM_CLOSED})


def load_contradicting(connection: sa.Connection, codes: Sequence[str], limit: int) -> list[str]:
    """The live accounts in which something does not go together, by the first of the codes they have, then by value.

    `codes`: every contradiction there is, most pressing first.
    """
    pressing = " ".join(f"when ' ' || s.contradictions || ' ' like '% {code} %' then {place}"
                        for place, code in enumerate(codes))  # fmt: skip
    rows = connection.execute(
        sa.text(
            "select s.account_id from account_standing s join account a on a.id = s.account_id"
            " left join account_value v on v.account_id = s.account_id"
            f" where s.contradictions <> '' and {LIVE}"
            f" order by case {pressing} end, coalesce(v.total, 0) desc, s.account_id limit :limit"
        ),
        {"limit": limit},
    )
    return [row[0] for row in rows]
