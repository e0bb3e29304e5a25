"""The valuation alone, on the mirror that a night has filled: a process of its own, started by `run.py`.

Everything, as in a first night, and a hundred changed sales; beside them the staged SQL that the same sums take by
hand. Whatever is written is rolled back.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import night
from measure import Clock, peak_mb
from plain_store import PlainStore, open_plain_store
from staged_floor import list_differences, value_by_hand

from app.store import engagement, standing
from app.store.connection import Connection
from app.store.state import REVALUE_ALL, save_flag
from app.sync.revalue import Day, Revaluation, revalue
from app.sync.services import Services

VALUED = "credit_line", "opportunity_issue", "account_value", "account_engagement", "account_standing", "worth_before"
FORGET = {"sqlite": "delete from", "postgresql": "truncate"}
BESIDE: tuple[tuple[ModuleType, str], ...] = ((engagement, "refresh_engagement"), (standing, "refresh_standing"))
"""The steps of a valuation that are not about money."""

Step = dict[str, Any]


def main(job: Step) -> Step:
    services, servers = night.open_services(job), tuple(job["servers"])
    with services.database.read() as connection:
        sales = connection.exec_driver_sql("select count(*) from opportunity").scalar_one()
    day = Day(services.mapping.policy, services.mapping.policy_version, services.today, run_id=2**40)
    floor, wrong = _value_by_hand(open_plain_store(job["target"]), day.iso, servers)
    steps = [
        {"name": "staged SQL by hand", "rows": sales, **floor},
        {"name": "everything", "rows": sales, **_value(services, day, servers, _forget)},
        {
            "name": f"{job['few']} sales changed",
            "rows": job["few"],
            **_value(services, day, servers, _change(job["few"])),
        },
    ]
    return {"steps": steps, "wrong": wrong, "peak_mb": peak_mb()}


def _value_by_hand(store: PlainStore, today: str, servers: tuple[int, ...]) -> tuple[Step, int]:
    clock = Clock(servers)
    with clock:
        value_by_hand(store, today)
    wrong = sum(1 for _ in list_differences(store))
    # What it has read stays locked until then, and PostgreSQL would wait for it below.
    store.commit()
    return {"wall": clock.wall, "cpu": clock.cpu}, wrong


class _RolledBack(Exception):
    """Ends a transaction whose work nobody wants to keep."""


def _value(services: Services, day: Day, servers: tuple[int, ...], prepare: Callable[[Connection], None]) -> Step:
    whole, beside = Clock(servers), Clock(servers)
    valued = Revaluation("nothing", 0)
    try:
        with services.database.begin() as connection:
            prepare(connection)
            with _timed(beside), whole:
                valued = revalue(connection, day)
            raise _RolledBack
    except _RolledBack:
        pass
    money = {"money_wall": whole.wall - beside.wall, "money_cpu": whole.cpu - beside.cpu}
    return {"wall": whole.wall, "cpu": whole.cpu, **money, "moved": valued.moved, "scope": valued.scope}


@contextmanager
def _timed(clock: Clock) -> Iterator[None]:
    """Let a clock run in the steps that are not about money."""
    kept = [(module, name, getattr(module, name)) for module, name in BESIDE]
    for module, name, step in kept:
        setattr(module, name, _with(clock, step))
    try:
        yield
    finally:
        for module, name, step in kept:
            setattr(module, name, step)


def _with(clock: Clock, step: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        with clock:
            return step(*given, **named)

    return run


def _forget(connection: Connection) -> None:
    """As if nothing had ever been valued."""
    for table in VALUED:
        connection.exec_driver_sql(f"{FORGET[connection.dialect.name]} {table}")
    save_flag(connection, REVALUE_ALL, "bench")


def _change(count: int) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        """Let sales that are spread over all buyers be worth one unit more, as a pull would leave it."""
        ids = connection.exec_driver_sql("select id from opportunity where is_won = 1 order by id").scalars().all()
        for id_ in ids[:: max(1, len(ids) // count)][:count]:
            connection.exec_driver_sql(f"update opportunity set home_amount = home_amount + 100 where id = '{id_}'")
            connection.exec_driver_sql(f"insert into dirty (kind, id) values ('opportunity', '{id_}')")

    return change


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
