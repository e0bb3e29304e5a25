"""The service as a process: a signed event goes in, a number in the CRM moves, once."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.web.signatures import sign

SECRET = "whsec_" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
B, Y = "001000000000002AAA", "001000000000004AAA"
EVENT = {"source_event_id": "r-1", "type": "referral", "occurred_on": "2025-04-01", "account": B, "referred_account": Y}
PATIENCE = 60.0


def write_org(folder: Path) -> None:
    (folder / "org").mkdir()
    (folder / "org/Account.csv").write_text(f"Id,Name\n{B},B\n{Y},Y\n")
    header = "Id,AccountId,Name,Amount,StageName,CloseDate,CreatedDate,Type\n"
    rest = "Closed Won,2025-06-30,2025-05-01T09:00:00.000Z,New Business\n"
    deals = f"006000000000001AAA,{B},One,30000,{rest}006000000000002AAA,{Y},Two,250000,{rest}"
    (folder / "org/Opportunity.csv").write_text(header + deals)


def ask(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def shown_total(shell: Any) -> float | None:
    """What the CRM shows as B's total value."""
    query = urllib.parse.urlencode({"q": f"SELECT Total_Customer_Value__c FROM Account WHERE Id = '{B}'"})
    url = f"{shell.settings['ADVOCACY_SALESFORCE_INSTANCE_URL']}/services/data/v62.0/query?{query}"
    _, answer = ask(url, headers={"Authorization": "Bearer tok-1"})
    value: float | None = answer["records"][0]["Total_Customer_Value__c"]
    return value


def wait_for_total(shell: Any, wanted: float) -> None:
    end = time.monotonic() + PATIENCE
    while shown_total(shell) != wanted:
        assert time.monotonic() < end, f"the CRM still shows {shown_total(shell)}"
        time.sleep(0.05)


def deliver(url: str, delivery: str, **changes: object) -> int:
    body = json.dumps({**EVENT, **changes}).encode()
    return ask(f"{url}/webhooks/events", body=body, headers=sign(SECRET, delivery, datetime.now(UTC), body))[0]


def test_a_delivery_moves_a_number_in_the_crm_once(sandbox: Any, shell: Any) -> None:
    write_org(shell.folder)
    shell = sandbox("--data", "org")
    shell.settings["ADVOCACY_WEBHOOK_SECRETS"] = SECRET
    assert shell.run("sync").code == 0
    assert shown_total(shell) == 30_000
    key = shell.run("keys", "add", "test", "--scope", "read").out.strip()

    with shell.start("serve", "--port", "0", "--no-schedule") as running:
        url = running.next_line()
        assert ask(f"{url}/readyz")[0] == 200
        assert deliver(url, "msg_1") == 202
        wait_for_total(shell, 280_000)
        assert deliver(url, "msg_1") == 200
        assert deliver(url, "msg_2") == 202
        status, page = ask(f"{url}/v1/accounts", headers={"Authorization": f"Bearer {key}"})
        assert (status, page["data"][0]["total"], page["next_cursor"]) == (200, "280000.00", None)
        assert running.stop(signal.SIGTERM) == 0

    events = shell.run("events", "list", "--json").json
    assert [(event["source_system"], event["source_event_id"]) for event in events] == [("webhook", "r-1")]


def test_what_was_accepted_survives_a_kill_and_is_worked_at_the_next_start(sandbox: Any, shell: Any) -> None:
    write_org(shell.folder)
    shell = sandbox("--data", "org")
    shell.settings["ADVOCACY_WEBHOOK_SECRETS"] = SECRET
    shell.settings["ADVOCACY_LEASE_SECONDS"] = "10"
    assert shell.run("sync").code == 0

    with shell.start("serve", "--port", "0", "--no-schedule") as running:
        url = running.next_line()
        assert deliver(url, "msg_1") == 202
        running.stop(signal.SIGKILL)

    with shell.start("worker") as running:
        wait_for_total(shell, 280_000)
        assert running.stop(signal.SIGTERM) == 0
    assert shell.run("webhooks", "list", "--json").json[0]["status"] == "done"
