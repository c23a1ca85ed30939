"""What users of the SDK may rely on. Adding a name is a decision, removing one a breaking change."""

from __future__ import annotations

import licet

PUBLIC = [
    "Accepted",
    "BadRows",
    "Certificate",
    "Client",
    "ClientOptions",
    "Committed",
    "Conflict",
    "Decision",
    "Fault",
    "Genesis",
    "LedgerEvent",
    "LicetError",
    "Lineage",
    "Money",
    "OutcomeUnknown",
    "Quote",
    "RefusedAtAdmission",
    "RefusedInBlock",
    "RetryPolicy",
    "SigningKey",
    "Statement",
    "Status",
    "Submission",
    "SyncClient",
    "Unavailable",
    "UsageRow",
    "VerifiedClaim",
    "generate_key",
    "load_key",
    "parse_genesis",
    "read_proof",
    "save_key",
    "verify_proof",
]


def test_the_public_names_are_these() -> None:
    assert sorted(licet._LAZY) == PUBLIC
    assert set(PUBLIC) <= set(dir(licet))


def test_every_public_name_loads() -> None:
    for name in PUBLIC:
        assert getattr(licet, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(licet, "Klient")
