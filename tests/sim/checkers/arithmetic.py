"""The checkers' own quorum arithmetic and vote bytes, written a second time on purpose."""

from __future__ import annotations

from functools import cache

import nacl.bindings
import nacl.exceptions
from licet.certificate import Certificate

from tests.sim.genesis import make_genesis

TAG = b"licet.vote".ljust(16, b"\0")


def quorum(n: int) -> int:
    """How many signatures make a certificate: more than two thirds, with n = 3f + 1."""
    faulty = 0
    while 3 * (faulty + 1) + 1 <= n:
        faulty += 1
    return n - faulty


@cache
def signed(public_key: bytes, signature: bytes, kind: int, view: int, digest: bytes) -> bool:
    """Whether this is the key's signature on that vote."""
    message = TAG + bytes(make_genesis().chain_id()) + (0).to_bytes(8, "big")
    message += view.to_bytes(8, "big") + bytes((kind,)) + digest
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def signers(certificate: Certificate, n: int) -> set[int]:
    """The distinct validators whose signatures in the certificate verify."""
    bits = "".join(f"{byte:08b}" for byte in certificate.signers)
    named = [index for index in range(n) if bits[index] == "1"]
    keys = [validator.public_key for validator in make_genesis().validators]
    return {
        index
        for index, signature in zip(named, certificate.signatures, strict=False)
        if signed(keys[index], signature, int(certificate.kind), certificate.view, certificate.digest)
    }
