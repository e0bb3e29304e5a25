"""The loopback HTTP server: keep-alive, chunked bodies, the edge's own HTML errors, and dropped connections."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import traceback
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.salesforce.sandbox.engine import Call, Engine, Reply
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.routes import answer
from connectors.salesforce.sandbox.wire import error_reply, html_reply

LONGEST_ADDRESS = 16_384
"""Bytes of the URI (414), and of URI and headers together (431)."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # Without HTTPServer's look-up of the host's own name, which may ask the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is its own affair."""

    def drop_connections(self) -> None:
        """End the connections that clients keep alive."""
        with self._open_lock:
            waiting = list(self._open)
        for one in waiting:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: the counters say what was asked."""

    def _answer(self) -> None:
        try:
            body = self._read_body()
        except ValueError:
            self.close_connection = True
            self._send(html_reply(400, "Bad Request"))
            return
        reply = self._edge() or self._answer_call(self._call(body))
        if reply.cut_after is None:
            self._send(reply)
        else:
            self._cut(reply, reply.cut_after)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the base class's names

    def _answer_call(self, call: Call) -> Reply:
        engine = self.server.engine
        try:
            return answer(engine, call)
        except Exception:  # noqa: BLE001  # the top of a request
            engine.crashes.append(traceback.format_exc())
            return error_reply(ApiError("UNKNOWN_EXCEPTION", "An unexpected error occurred.", status=500))

    def _call(self, body: bytes) -> Call:
        address = urlsplit(self.path)
        return Call(
            method=self.command,
            path=address.path,
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )

    def _edge(self) -> Reply | None:
        if len(self.path) > LONGEST_ADDRESS:
            return html_reply(414, "Bad Message 414")
        if len(self.path) + sum(len(name) + len(value) + 4 for name, value in self.headers.items()) > LONGEST_ADDRESS:
            return html_reply(431, "Bad Message 431")
        return None

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _send(self, reply: Reply, keep: int | None = None) -> None:
        self.send_response_only(reply.status)
        self.send_header("Date", format_datetime(self.server.engine.org.clock.now(), usegmt=True))
        self.send_header("Server", "sfdcedge")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        empty = reply.status in {204, 304}
        if not empty:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD" and not empty:
            self.wfile.write(reply.body[:keep])
        self.wfile.flush()

    def _cut(self, reply: Reply, keep: int) -> None:
        """Announce everything, send a part of it, and reset the connection."""
        if keep >= 0:
            self._send(reply, keep)
        self.close_connection = True
        # A reset, not an orderly end: the client must see an error whatever it has read so far.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)
        self.connection.close()
