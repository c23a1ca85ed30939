"""JSON and TOML that others wrote: whatever stands in it, reading gives a document or a `ValueError`.

The standard readers follow nesting by recursion and give up with an error that no caller of a reader
expects. Here it is a `ValueError` with one sentence, as for everything else that is no such document.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The document; `ValueError` says why it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_toml(text: str) -> dict[str, Any]:
    """The document; `ValueError` says why it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
