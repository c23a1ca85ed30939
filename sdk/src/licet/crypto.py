"""Ed25519 by libsodium, domain-separated; and the type of what was verified.

Validators must agree to the last bit on which signatures are valid, and
libraries differ on edge cases (RFC 8032 leaves some open), so libsodium is
the only verifier. Small-order and non-canonical public keys are refused
where a key is registered.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar, final

import nacl.bindings as sodium
import nacl.exceptions

from licet.encoding import Tag
from licet.errors import Fault, InvalidSignature
from licet.types import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SEED_BYTES: Final = 32
_P: Final = 2**255 - 19


@final
class SigningKey:
    """An Ed25519 key pair. Its representation never shows the secret."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        public, secret = sodium.crypto_sign_seed_keypair(seed)
        self.public_key: Final = PublicKey(public)
        self._secret = secret

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for key files only."""
        return self._secret[:SEED_BYTES]

    def sign(self, tag: Tag, message: bytes) -> Signature:
        """Sign `tag ‖ message`."""
        signed = sodium.crypto_sign(tag.bytes16 + message, self._secret)
        return Signature(signed[:SIGNATURE_BYTES])

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()})"


def signature_valid(public_key: bytes, signature: bytes, tag: Tag, message: bytes) -> bool:
    """Whether `signature` is `public_key`'s over `tag ‖ message`. Wrong lengths are just not valid."""
    if len(signature) != SIGNATURE_BYTES or len(public_key) != PUBLIC_KEY_BYTES:
        return False
    try:
        sodium.crypto_sign_open(signature + tag.bytes16 + message, public_key)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def check_signature(public_key: bytes, signature: bytes, tag: Tag, message: bytes, *, what: str) -> None:
    """Raise `InvalidSignature` unless the signature verifies."""
    if not signature_valid(public_key, signature, tag, message):
        raise InvalidSignature(what, "it does not verify under the key that is named")


def check_public_key(public_key: bytes) -> PublicKey:
    """Refuse keys that no honest signer has: wrong length, non-canonical, small order, off the curve."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidSignature("a key", f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}")
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y >= _P:
        raise InvalidSignature("a key", "the public key is not in canonical form")
    if not sodium.crypto_core_ed25519_is_valid_point(public_key):
        raise InvalidSignature("a key", "the public key is no point of the main subgroup")
    return PublicKey(public_key)


_MINT: Final = object()


@final
class Verified(Generic[T_co]):
    """A value whose signatures were checked. Only `mark_verified` makes one.

    The pure core accepts nothing else from a peer (style rule 4), so that a
    forgotten check is a type error and not a hole.
    """

    __slots__ = ("value",)

    def __init__(self, value: T_co, mint: object) -> None:
        assert mint is _MINT, "Verified values are made by mark_verified alone"
        self.value: T_co = value

    def __repr__(self) -> str:
        return f"Verified({self.value!r})"


def mark_verified(value: T) -> Verified[T]:
    """Say that every signature in `value` was checked. Called by verifiers and by tests."""
    return Verified(value, _MINT)


__all__ = [
    "Fault",
    "SigningKey",
    "Verified",
    "check_public_key",
    "check_signature",
    "mark_verified",
    "signature_valid",
]
