"""Signature checks done once per message and not once per receiver.

The check itself is libsodium's, as in a node; only its answer is remembered, by
(key, signature, tag, message), so a forged signature is refused every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from licet.crypto import signature_valid
from licet.encoding import Tag


class SignatureMemo:
    """Remembers what libsodium said."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes, Tag, bytes], bool] = {}

    def __call__(self, public_key: bytes, signature: bytes, tag: Tag, message: bytes) -> bool:
        entry = (public_key, signature, tag, message)
        answer = self._known.get(entry)
        if answer is None:
            answer = self._known[entry] = signature_valid(public_key, signature, tag, message)
        return answer


@contextmanager
def memoised() -> Iterator[SignatureMemo]:
    """Let votes, certificates and batches ask the memo while a run lasts."""
    memo = SignatureMemo()
    with (
        patch("licet.certificate.signature_valid", memo),
        patch("node.core.batches.signature_valid", memo),
    ):
        yield memo
