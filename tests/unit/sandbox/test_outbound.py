from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from xml.etree import ElementTree as ET

import pytest

ACK = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>{}</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)


class Listener:
    """Answers what it is told to and keeps what it received."""

    def __init__(self):
        self.status, self.body, self.received = 200, ACK.format("true"), []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                listener.received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(listener.status)
                self.send_header("Content-Length", str(len(listener.body)))
                self.end_headers()
                self.wfile.write(listener.body.encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/outbound"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.005,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def record_ids(self):
        return [[one.text for one in ET.fromstring(text).iterfind(".//{*}sObject/{*}Id")] for text in self.received]


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()


def test_a_change_is_told_with_the_values_as_they_are_when_it_is_sent(sandbox, org, listener):
    sandbox.add_outbound(listener.url, "Account", "Name", "AnnualRevenue", "Website", "CreatedDate", "IsDeleted")
    account = org.create("Account", {"Name": "A & B", "AnnualRevenue": 5})
    org.update("Account", account, {"Name": "C < D"})

    assert sandbox.deliver() == 2

    (text,) = listener.received
    root = ET.fromstring(text)
    assert root.findtext(".//{*}OrganizationId") == org.organization_id
    first = root.find(".//{*}sObject")
    assert [(one.tag.rpartition("}")[2], one.text) for one in first] == [
        ("Id", account),
        ("Name", "C < D"),
        ("AnnualRevenue", "5.0"),
        ("CreatedDate", "2026-03-01T12:00:00.000Z"),
        ("IsDeleted", "false"),
    ]
    assert len({one.text for one in root.iterfind(".//{*}Notification/{*}Id")}) == 2


def test_writes_over_the_api_are_told_too(sandbox, client, listener):
    sandbox.add_outbound(listener.url, "Account")
    client.post("sobjects/Account", {"Name": "A"})

    assert sandbox.deliver() == 1


@pytest.mark.parametrize(("status", "body"), [(500, ""), (200, "ok"), (200, ACK.format("false"))])
def test_without_an_ack_it_is_sent_again_later(sandbox, org, listener, clock, status, body):
    message = sandbox.add_outbound(listener.url, "Account")
    org.create("Account", {"Name": "A"})
    listener.status, listener.body = status, body
    assert sandbox.deliver() == 0
    assert sandbox.deliver() == 0
    assert len(listener.received) == 1

    listener.status, listener.body = 200, ACK.format("true")
    clock.advance(5)

    assert sandbox.deliver() == 1
    assert (message.waiting, message.acknowledged) == ([], 1)
    assert len(listener.received) == 2


def test_pauses_double_up_to_two_hours_and_end_after_a_day(sandbox, org, listener, clock):
    message = sandbox.add_outbound(listener.url, "Account")
    org.create("Account", {"Name": "A"})
    listener.status = 500
    pauses = []

    while message.waiting:
        (one,) = message.waiting
        pauses.append((one.due - clock.now()).total_seconds())
        clock.advance(pauses[-1])
        sandbox.deliver()

    assert pauses[:5] == [0, 5, 10, 20, 40]
    assert max(pauses) == 7200
    assert 24 * 3600 <= sum(pauses) <= 26 * 3600
    assert message.given_up == 1


def test_a_listener_that_is_not_there_is_tried_again(sandbox, org, listener):
    message = sandbox.add_outbound("http://127.0.0.1:9/nobody", "Account")
    org.create("Account", {"Name": "A"})

    assert sandbox.deliver() == 0
    assert len(message.waiting) == 1


def test_messages_may_come_twice_and_in_another_order(sandbox, org, listener):
    sandbox.add_outbound(listener.url, "Account", twice=True, reverse=True)
    ids = [org.create("Account", {"Name": name}) for name in "AB"]

    sandbox.deliver()

    assert listener.record_ids() == [ids[::-1], ids[::-1]]


def test_a_rule_decides_what_is_told(sandbox, org, listener):
    sandbox.add_outbound(listener.url, "Opportunity", when=lambda record: record["IsWon"])
    org.create("Opportunity", {"Name": "open", "StageName": "Prospecting"})
    won = org.create("Opportunity", {"Name": "won", "StageName": "Closed Won"})
    org.create("Account", {"Name": "other"})

    sandbox.deliver()

    assert listener.record_ids() == [[won]]


def test_a_message_has_at_most_a_hundred_notifications(sandbox, org, listener):
    sandbox.add_outbound(listener.url, "Account")
    for number in range(101):
        org.create("Account", {"Name": str(number)})

    sandbox.deliver()

    assert [len(ids) for ids in listener.record_ids()] == [100, 1]


def test_what_was_rolled_back_or_purged_is_not_told(sandbox, org, client, listener):
    sandbox.add_outbound(listener.url, "Account")
    account = org.create("Account", {"Name": "A"})
    org.purge("Account", account)
    client.update_many({"Nope": 1}, allOrNone=True)

    sandbox.deliver()

    assert listener.received == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "http://example.com/x", "ftp://127.0.0.1/x"])
def test_only_loopback_is_told_anything(sandbox, url):
    with pytest.raises(ValueError, match="loopback"):
        sandbox.add_outbound(url, "Account")
