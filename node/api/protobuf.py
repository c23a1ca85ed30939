"""Which implementation of protobuf decodes here. Imports nothing else, so that it can be asked first."""

from __future__ import annotations

from typing import Final

from google.protobuf.internal import api_implementation

REQUIRED: Final = "upb"


def implementation() -> str:
    """The name of the implementation in use."""
    return str(api_implementation.Type())
