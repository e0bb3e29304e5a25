"""Bodies: JSON read exactly, errors written in the shape Salesforce uses for them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.engine import Call, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError


def read_json(call: Call) -> dict[str, Any]:
    """The body as an object; numbers keep every digit."""
    try:
        value = json.loads(call.body or b"{}", parse_float=Decimal)
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise ApiError("JSON_PARSER_ERROR", "The HTTP entity body is required to be valid JSON.") from None
    if not isinstance(value, dict):
        raise ApiError(
            "JSON_PARSER_ERROR", "Cannot deserialize request body: an object is expected at [line:1, column:1]"
        )
    return value


def error_entry(error: ApiError) -> dict[str, Any]:
    entry: dict[str, Any] = {"message": error.message, "errorCode": error.code}
    return entry | {"fields": list(error.fields)} if error.fields else entry


def error_reply(error: ApiError) -> Reply:
    return json_reply([error_entry(error)], error.status)


def row_error(error: ApiError) -> dict[str, Any]:
    """A failed row of collections, where the code is called `statusCode`."""
    entry = {"statusCode": error.code, "message": error.message, "fields": list(error.fields)}
    return {"success": False, "errors": [entry]}


def html_reply(status: int, title: str) -> Reply:
    """What the edge in front of Salesforce answers: no JSON at all."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>reason: {title}</p></body></html>"
    return Reply(status, page.encode(), "text/html;charset=UTF-8")
