"""What every command shares: settings, the client (connected when first used), and how results are shown."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from licet.cli.profile import ConfigError, Settings, read_settings
from licet.views import plain, text_table

if TYPE_CHECKING:
    from licet.connection import ClientOptions
    from licet.crypto import SigningKey
    from licet.outcomes import Committed
    from licet.sync_client import SyncClient

# The message of the contract that stands for bytes stays bytes: hex for people and JSON alike.
Row = Sequence[object]

_NOTHING: Final = object()


def message_dict(message: Any) -> Any:
    """A message of the contract as plain values: bytes as hex, numbers as numbers."""
    from google.protobuf.message import Message

    if isinstance(message, Message):
        return {field.name: message_dict(getattr(message, field.name)) for field in message.DESCRIPTOR.fields}
    if isinstance(message, bytes):
        return message.hex()
    if isinstance(message, str | int | bool):
        return message
    if isinstance(message, Mapping):
        return {key: message_dict(message[key]) for key in sorted(message)}
    return [message_dict(item) for item in message]


def _options(wait: str) -> ClientOptions:
    """How long a command asks: as the SDK does, or for `wait` seconds where they are given."""
    from licet.connection import ClientOptions
    from licet.retry import RetryPolicy

    if not wait:
        return ClientOptions()
    policy = RetryPolicy(deadline_s=float(wait), attempt_s=min(10.0, float(wait)))
    return ClientOptions(connect=policy, retry=policy)


class Session:
    """One run of the command."""

    def __init__(self, args: Any, environ: Mapping[str, str] = os.environ) -> None:
        self.output: str = getattr(args, "output", "table")
        self._flags = {
            name: getattr(args, name, None)
            for name in ("target", "sender", "key", "genesis", "expect_chain", "wait", "profile")
        }
        self._environ = environ
        self._settings: Settings | None = None
        self._client: SyncClient | None = None

    @property
    def settings(self) -> Settings:
        """Read when first needed, so that offline commands need none."""
        if self._settings is None:
            self._settings = read_settings(self._flags, self._environ)
        return self._settings

    def signing_key(self) -> SigningKey:
        """The key of the settings; asks for a passphrase on a terminal where it is sealed."""
        if not self.settings.key:
            raise ConfigError("No key is set.", "Give --key FILE, LICET_KEY, or `key` in the profile.")
        return self.load_key(self.settings.key)

    def load_key(self, path: str) -> SigningKey:
        """A key file, unsealed by LICET_PASSPHRASE or by asking."""
        from licet.keys import is_sealed, load_key

        if not is_sealed(path):
            return load_key(path)
        passphrase = self.settings.passphrase
        if not passphrase:
            if not sys.stdin.isatty():
                raise ConfigError(
                    f"The key file {path} is sealed by a passphrase.",
                    "Set LICET_PASSPHRASE, or run this on a terminal.",
                )
            passphrase = getpass.getpass(f"Passphrase of {path}: ")
        return load_key(path, passphrase=passphrase)

    @property
    def client(self) -> SyncClient:
        """The connection, for reading."""
        if self._client is None:
            from licet.sync_client import SyncClient

            settings = self.settings
            if not settings.target:
                raise ConfigError(
                    "No node is named.", "Give --target HOST:PORT, LICET_TARGET, or `target` in the profile."
                )
            self._client = SyncClient.connect(
                settings.target,
                genesis=settings.genesis or None,
                expect_chain=bytes.fromhex(settings.expect_chain) if settings.expect_chain else None,
                options=_options(settings.wait),
            )
        return self._client

    @property
    def sender(self) -> str:
        """The party that acts, or that a query is about by default."""
        if not self.settings.sender:
            raise ConfigError(
                "No party is named.", "Give --sender PARTY, LICET_SENDER, or `sender` in the profile."
            )
        return self.settings.sender

    @property
    def acting(self) -> SyncClient:
        """The connection, for acting as the sender. What can be wrong without a node is found before one."""
        sender, key = self.sender, self.signing_key()
        return self.client.acting(sender, key)

    def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            self._client.close()

    # --- showing

    def hint(self, text: str) -> None:
        """The next useful command: for people, never among results."""
        if self.output == "table":
            sys.stdout.flush()
            print(f"next: {text}", file=sys.stderr)

    def show(self, document: Any, *, id: str, lines: Iterable[str]) -> None:
        """One result: JSON, its id, or lines for people."""
        if self.output == "json":
            print(json.dumps(plain(document), indent=2, ensure_ascii=False))
        elif self.output == "id":
            print(id)
        else:
            print("\n".join(lines))

    def show_all(
        self,
        items: Iterable[Any],
        *,
        id: Callable[[Any], str],
        headings: Sequence[str],
        row: Callable[[Any], Row],
        party: str = "",
    ) -> None:
        """A list of messages: a JSON array, ids line by line, or a table.

        `party` is whom the list was narrowed to: where it is empty, an unknown one is told.
        """
        items = iter(items)
        first = next(items, _NOTHING)
        if first is not _NOTHING:
            items = chain((first,), items)
        elif party:
            self.client.get_party(party)
        if self.output == "json":
            print(json.dumps([message_dict(item) for item in items], indent=2, ensure_ascii=False))
        elif self.output == "id":
            for item in items:
                print(id(item))
        else:
            rows = [row(item) for item in items]
            print(text_table(headings, rows) if rows else "none")

    def show_message(self, message: Any, *, id: str, fields: Iterable[tuple[str, object]]) -> None:
        """One message of the contract."""
        self.show(
            message_dict(message),
            id=id,
            lines=(f"{name:<14} {value}" for name, value in fields if value not in ("", [], None)),
        )

    def done(self, what: str, outcome: Committed, *, id: str = "") -> None:
        """A commitment, or what validation only would have given."""
        name = id or next(iter(outcome.names.values()), outcome.transaction_hash.hex())
        if outcome.preview:
            text = f"{what}: valid now; nothing was submitted."
        else:
            text = f"{what}, at height {outcome.height} (transaction {outcome.transaction_hash.hex()[:16]})."
        self.show(outcome, id=name, lines=(text,))

    def money(self, currency: str, minor: int) -> str:
        """An amount as people read it."""
        from licet.money import format_money

        return format_money(currency, minor, self.client.scales)
