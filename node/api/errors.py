"""Errors at the API's door: one table from codes to gRPC status, and the details that travel along.

Every `LicetError` becomes a google.rpc.Status with an ErrorInfo: reason is its code, domain "licet",
metadata its facts with "fault" and "remedy". What is no `LicetError` is a bug of ours: it is logged
with its trace and answered as INTERNAL without its text.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from licet.errors import Fault, LicetError
from licet.status_details import METADATA_KEY, ErrorInfo, encode_status

from node.operations import logs

# Codes that say more than their fault's owner does; all others follow `_BY_FAULT`.
STATUS_BY_CODE: Final = {
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "UNKNOWN_PARTY": grpc.StatusCode.NOT_FOUND,
    "UNKNOWN_ASSET": grpc.StatusCode.NOT_FOUND,
    "UNKNOWN_OFFER": grpc.StatusCode.NOT_FOUND,
    "UNKNOWN_AGREEMENT": grpc.StatusCode.NOT_FOUND,
    "UNKNOWN_CURRENCY": grpc.StatusCode.NOT_FOUND,
    "REQUEST_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "CURSOR_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_QUESTION": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_ENCODING": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_SIGNATURE": grpc.StatusCode.UNAUTHENTICATED,
    "MESSAGE_TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "TX_MALFORMED": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_ANCHORED_YET": grpc.StatusCode.FAILED_PRECONDITION,
    "HEIGHT_NOT_KEPT": grpc.StatusCode.OUT_OF_RANGE,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "RESOURCE_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "STORAGE_DEAD": grpc.StatusCode.UNAVAILABLE,
    "CLOCK_NOT_MANUAL": grpc.StatusCode.FAILED_PRECONDITION,
    "NOT_FINAL_IN_TIME": grpc.StatusCode.DEADLINE_EXCEEDED,
}
# A status travels in HTTP/2 trailers, where a connection ends with the first block above its bound: gRPC
# clients take 8 to 16 KiB, and a message is percent-encoded, three bytes for one.
MESSAGE_BYTES_MAX: Final = 500
FACT_BYTES_MAX: Final = 200
FACTS_MAX: Final = 8
_BY_FAULT: Final = {
    Fault.SENDER: grpc.StatusCode.FAILED_PRECONDITION,
    Fault.PEER: grpc.StatusCode.UNAVAILABLE,
    Fault.MACHINE: grpc.StatusCode.UNAVAILABLE,
    Fault.OPERATOR: grpc.StatusCode.FAILED_PRECONDITION,
    Fault.US: grpc.StatusCode.INTERNAL,
}
assert set(_BY_FAULT) == set(Fault)


class RequestInvalid(LicetError):
    """A request that no state could answer."""

    def __init__(self, field: str, why: str, *, code: str = "REQUEST_INVALID") -> None:
        super().__init__(
            code,
            f"The request's {field} {why}.",
            fault=Fault.SENDER,
            remedy="See the field's comment in proto/licet/v1.",
            facts={"field": field},
        )


class MessageTooLarge(LicetError):
    """A request of more bytes than this node takes in one message."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "MESSAGE_TOO_LARGE",
            f"The request has {size} bytes, of at most {limit}.",
            fault=Fault.SENDER,
            remedy="Divide what you send.",
            facts={"size": str(size), "limit": str(limit)},
        )


class NotFound(LicetError):
    """A record that the ledger does not hold."""

    def __init__(self, what: str, id_: str) -> None:
        super().__init__(
            "NOT_FOUND",
            f"There is no {what} {id_!r} on this ledger.",
            fault=Fault.SENDER,
            remedy="Check the id; a record appears once its block is final and executed on this node.",
            facts={"what": what, "id": id_},
        )


def status_of(error: LicetError) -> grpc.StatusCode:
    """The gRPC status of a domain error."""
    return STATUS_BY_CODE.get(error.code, _BY_FAULT[error.fault])


def details_of(error: LicetError) -> bytes:
    """The serialized google.rpc.Status of a domain error."""
    code: int = status_of(error).value[0]
    facts = list(error.facts.items())[:FACTS_MAX]
    metadata = {_cut(name, FACT_BYTES_MAX): _cut(value, FACT_BYTES_MAX) for name, value in facts}
    metadata |= {"fault": error.fault.value, "remedy": _cut(error.remedy, MESSAGE_BYTES_MAX)}
    message = _cut(error.message, MESSAGE_BYTES_MAX)
    return encode_status(code, message, ErrorInfo(reason=error.code, metadata=metadata))


def _cut(text: str, at_most: int) -> str:
    """The text, or its beginning where a request made it long."""
    raw = text.encode()
    return text if len(raw) <= at_most else raw[:at_most].decode(errors="ignore") + "…"


async def ended(context: Any, error: Exception, *, what: str) -> BaseException:
    """End a call with an error: a `LicetError` as it stands, anything else as a bug of ours.

    Returns what the handler has to raise then, outside of any `except` and with `request` and `context`
    deleted. gRPC keeps it with the call: if its frames held the call, both would outlive it as a cycle,
    with all that the client sent.
    """
    if not isinstance(error, LicetError):
        logs.logger("api").error("a call failed by a bug", extra={"call": what}, exc_info=error)
        error = LicetError(
            "INTERNAL",
            "The node failed to answer; its log holds the reason.",
            fault=Fault.US,
            remedy="Tell the node's operator, and try another node.",
        )
    try:
        await context.abort(
            status_of(error), _cut(str(error), MESSAGE_BYTES_MAX), ((METADATA_KEY, details_of(error)),)
        )
    except BaseException as why:
        why.__context__ = None
        return why.with_traceback(None)
    raise AssertionError("abort returns never")
