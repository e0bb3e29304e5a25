"""What a failed gRPC call means: one table, by Salesforce's own error code where there is one, else by the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    ResumeError,
    TransientError,
    UnreachableError,
)
from connectors.http import redact

ERROR_CODE = "error-code"
"""The trailer with Salesforce's error code."""


class SessionEndedError(CredentialsError):
    """The token was refused: one renewal may help."""


CODES: tuple[tuple[str, type[ConnectorError]], ...] = (
    ("fetch.replayid.", ResumeError),
    ("service.auth.", SessionEndedError),
    ("limit.exceeded", RateLimitedError),
    ("service.unavailable", UnreachableError),
)
"""A part of Salesforce's code -> what to do."""

STATUSES: Mapping[grpc.StatusCode, type[ConnectorError]] = {
    grpc.StatusCode.UNAUTHENTICATED: SessionEndedError,
    grpc.StatusCode.PERMISSION_DENIED: CredentialsError,
    grpc.StatusCode.NOT_FOUND: ConfigurationError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimitedError,
    grpc.StatusCode.UNAVAILABLE: UnreachableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnreachableError,
    grpc.StatusCode.CANCELLED: UnreachableError,
    grpc.StatusCode.ABORTED: TransientError,
    grpc.StatusCode.INTERNAL: TransientError,
    grpc.StatusCode.UNKNOWN: TransientError,
    grpc.StatusCode.DATA_LOSS: TransientError,
}
"""Any other status is a ProtocolError: the request itself is wrong, repeating it cannot help."""


def read_call_failure(error: grpc.RpcError, what: str) -> ConnectorError:
    """The error of a failed call; `what` names it for the operator."""
    # Every RpcError that a call raises is the call itself; the type says neither.
    call: Any = error
    status: grpc.StatusCode = call.code()
    details = str(call.details() or "no reason given")
    code = next((str(value) for key, value in call.trailing_metadata() or () if key == ERROR_CODE), "")
    kind = _kind_of(status, code, details)
    return kind(f"{what}: {status.name}: {redact(details, 200)}", code=code or status.name)


def _kind_of(status: grpc.StatusCode, code: str, details: str) -> type[ConnectorError]:
    known = next((kind for part, kind in CODES if part in code), None) or STATUSES.get(status, ProtocolError)
    # Where the trailer was lost on the way, the text is the only sign.
    forgotten = status is grpc.StatusCode.INVALID_ARGUMENT and "replay id" in details.lower()
    return ResumeError if forgotten else known
