"""Start and stop a sandbox, and everything a test wants to hold in its hand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from connectors.salesforce.sandbox.auth import issue_token
from connectors.salesforce.sandbox.engine import Engine, Manners
from connectors.salesforce.sandbox.faults import Faults
from connectors.salesforce.sandbox.load import load_csv
from connectors.salesforce.sandbox.memory import recall
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.outbound import OutboundMessage, add_outbound, deliver
from connectors.salesforce.sandbox.server import Server
from connectors.salesforce.sandbox.state import Journal, load_org

CLIENT_ID = "sandbox-client"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client logs in with. Known to everyone: the server listens on loopback only."""

    client_id: str
    client_secret: str
    username: str
    token: str


class Sandbox:
    """An org behind an HTTP server on 127.0.0.1. Port 0 takes a free one.

    `state_file`: where the org is kept; written at the start, with every change of a record, and anew at the end.
    Read it back with `open_org`.
    """

    def __init__(
        self, org: Org | None = None, port: int = 0, token: str = "", state_file: Path | str | None = None
    ) -> None:
        self.org = org or Org()
        self.engine = Engine(self.org, fixed_token=token)
        self.engine.clients[CLIENT_ID] = self.org.client_secret
        self.engine.save = self.save
        recall(self.engine, self.org.remembered)
        self._state_file = state_file
        self._journal: Journal | None = None
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._server = Server(self.engine, self._port)
        self.engine.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()
        if self._state_file is not None:
            self._journal = Journal(self.org, self._state_file, self.engine)
            self.engine.settled = self._journal.note_server
        return self

    def close(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.drop_connections()
        self._server.server_close()
        self._server = self._thread = None
        if self._journal is not None:
            self.engine.settled = lambda: None
            self._journal.close()
            self._journal = None

    def save(self) -> None:
        """Write the state file anew, if there is one: with what is no record, like hidden fields and the clock."""
        if self._journal is not None:
            self._journal.save()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return self.engine.base_url

    @property
    def faults(self) -> Faults:
        return self.engine.faults

    @property
    def manners(self) -> Manners:
        return self.engine.manners

    @property
    def calls(self) -> Counter[str]:
        """Requests so far by kind; sub-requests of composites have a `/` in front of theirs."""
        return self.engine.calls

    @property
    def written(self) -> Counter[str]:
        """Records created or updated through the API so far, by object."""
        return self.engine.written

    @property
    def credentials(self) -> Credentials:
        username = self.org.record("User", self.org.user_id)["Username"]
        return Credentials(CLIENT_ID, self.org.client_secret, username, self.engine.fixed_token)

    def add_outbound(self, url: str, object_name: str, *fields: str, **options: Any) -> OutboundMessage:
        """Tell a listener on loopback of every change of an object's records; see `OutboundMessage` for options."""
        return add_outbound(self.engine, url, object_name, fields, **options)

    def deliver(self) -> int:
        """Send the outbound messages that are due by the org's clock; how many were acknowledged."""
        return deliver(self.engine)

    def login(self, user: str = "") -> str:
        """A fresh token for a user (by id), without the token endpoint."""
        return issue_token(self.engine, user or self.org.user_id)

    def revoke_tokens(self) -> None:
        """End every session, the refresh tokens' included."""
        self.engine.tokens.clear()
        self.engine.refresh_tokens.clear()

    def expire_cursors(self) -> None:
        """Forget every open query: its next page answers INVALID_QUERY_LOCATOR."""
        self.engine.cursors.clear()

    def register_key(self, public_key: bytes, client_id: str = CLIENT_ID) -> None:
        """From now on JWT assertions of this client must be signed by the key (PEM)."""
        self.engine.public_keys[client_id] = public_key

    def add_client(self, client_id: str, client_secret: str) -> None:
        self.engine.clients[client_id] = client_secret

    def add_refresh_token(self, refresh_token: str, user: str = "") -> None:
        self.engine.refresh_tokens[refresh_token] = user or self.org.user_id


def open_org(
    state_file: Path | str | None = None,
    data_dir: Path | str | None = None,
    *,
    multi_currency: bool = False,
    person_accounts: bool = False,
) -> Org:
    """The org of a state file; when there is none yet, a new one with the CSV files of a folder.

    The new org has several currencies also when the folder has a `CurrencyType.csv`.
    """
    if state_file is not None and Path(state_file).is_file():
        return load_org(state_file)
    rates = data_dir is not None and (Path(data_dir) / "CurrencyType.csv").is_file()
    org = Org(multi_currency=multi_currency or rates, person_accounts=person_accounts)
    if data_dir is not None:
        load_csv(org, data_dir)
    return org


def serve(
    port: int = 0,
    token: str = "",
    data_dir: Path | str | None = None,
    state_file: Path | str | None = None,
    *,
    ready: Callable[[Sandbox], None] = lambda _: None,
    wait: Callable[[], object] | None = None,
    **profile: bool,
) -> None:
    """Run a sandbox until `wait` returns (default: never) or is interrupted; `ready` is told when it listens.

    `profile`: of a new org, as `open_org` takes it.
    """
    org = open_org(state_file, data_dir, **profile)
    with Sandbox(org, port, token, state_file) as sandbox, _delivering(sandbox):
        ready(sandbox)
        (wait or threading.Event().wait)()


@contextmanager
def _delivering(sandbox: Sandbox) -> Iterator[None]:
    """Send outbound messages in the background."""
    done = threading.Event()

    def deliver_until_done() -> None:
        while not done.wait(1.0):
            sandbox.deliver()

    thread = threading.Thread(target=deliver_until_done, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
