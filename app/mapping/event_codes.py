"""Codes of advocacy event types, as a mapping file names them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StrictStr

from app.domain.event_types import CUSTOM_CODE, EVENT_TYPES
from app.mapping.grammar import fault
from app.mapping.render import suggest


def _check_type(code: str) -> str:
    if code not in EVENT_TYPES and not CUSTOM_CODE.fullmatch(code):
        raise fault(13, f"{code[:60]!r} is not a type of advocacy event", suggest(code, EVENT_TYPES, listed=False))
    return code


EventCode = Annotated[StrictStr, AfterValidator(_check_type)]
