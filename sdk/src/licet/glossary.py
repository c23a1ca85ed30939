"""Every error code in one table: what it means and what to do. `licet explain CODE` prints from it.

Codes are stable; a test finds each code that the source raises here. Refusals of the ledger carry
their own sentence, facts and clause; what stands here is what is true of every case.
"""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """What a code means, and what to do."""

    meaning: str
    remedy: str


# A code, what it means, and behind ">" what to do.
_TEXT: Final = """
# transactions
TX_MALFORMED
  The bytes are no transaction of this version: a limit, an id's alphabet, an unknown field.
  > Build it with the SDK.
TX_EXPIRED
  The ledger's time is past the transaction's valid_until. It consumed no id.
  > Ask for its receipt. Build it again where there is none; the SDK does both by itself once.
TX_TOO_FAR_AHEAD
  valid_until lies beyond the validity window of the node's clock.
  > Take the time from the node's clock in Status.
TX_TOO_COSTLY
  One transaction declares more work than a block may hold.
  > Split it.
TX_TOO_LARGE
  The transaction has more bytes than the ledger takes.
  > Split it.
NOT_A_NODE
  What answers at the address is no node of this version: another port of it, or another program.
  > Name the address of a node's `api.listen`.
MESSAGE_TOO_LARGE
  One call would carry more bytes than a node takes in one message, or answer with more.
  > Ask for less at once, or divide what you send.
TX_WRONG_CHAIN
  It is signed for another network.
  > Compare the chain id with your genesis.json.
WRONG_CHAIN
  Something belongs to another network than the one expected.
  > Compare the chain id with your genesis.json; nothing was signed.
ID_REUSED
  Another transaction of this sender has this idempotency id.
  > Ask for its receipt (`licet receipt HASH`); another id is for what is to happen besides it.
ID_USED_BEFORE
  A repeat that comes later than the ledger remembers ids: it would take effect a second time.
  > Ask for its receipt; give another id, or none, to do it once more.
NO_AUTHORITY
  No signature is by a key that the sender has for this scope.
  > Sign with a key of the sender; `licet party show` lists them.
NOT_SIGNED
  A party that must agree has not signed.
  > Add its key (`--co-key`, Submission(keys=…)).
NO_SUCH_COMMAND
  The ledger's version does not know the command.
  > Use a command of this protocol version.
OUTCOME_UNKNOWN
  The transaction left, and no answer came before the deadline.
  > Ask for its receipt. Issue it anew only where there is none once its last moment is past.
UNAVAILABLE
  No node took the request.
  > Try again, or name another node.
RESOURCE_EXHAUSTED
  The node holds as much as it may.
  > Wait as long as it says; the SDK does.
QUOTA_EXCEEDED
  This client has more in flight than its share.
  > Wait as long as it says; the SDK does.
NOT_FINAL_IN_TIME
  The node holds it, and no final block has it yet.
  > Ask for its receipt; see `licet status` for why the network waits.
NODE_CONFUSED
  A node's answer contradicts itself or the question.
  > Use another node, and report this one.
NO_KEY
  Nothing would sign, or too many would.
  > Connect with a key.
NO_SENDER
  The client acts for no party.
  > Name the party: --sender, LICET_SENDER, sender=….
# parties and keys
NAME_TAKEN
  Something of this kind has this id already.
  > Choose another id.
UNKNOWN_PARTY
  There is no such party.
  > Register it first.
INVALID_PARTY
  The party is not described as the ledger asks.
  > Correct what the message names.
INVALID_KEY
  The public key is not canonical, of small order, or has an unknown scope.
  > Make one with `licet party new-key`.
LAST_KEY
  Without this key nobody could ever act for the party again.
  > Add another key with scope all or govern first.
KEY_MISSING
  There is no such key file.
  > Make one with `licet party new-key FILE`.
KEY_EXISTS
  The file exists, and a key is never overwritten.
  > Choose another name.
KEY_EXPOSED
  Others than its owner may read the key file.
  > chmod 600, if nobody has; else replace the key.
KEY_DAMAGED
  The key file is not what its format says.
  > Restore it from your backup.
KEY_UNREADABLE
  The key file cannot be read.
  > Name a regular file that you own.
KEY_UNWRITABLE
  The key file cannot be written.
  > Name a folder that you may write to.
KEY_SEALED
  The key file needs a passphrase.
  > Give it when asked, or by LICET_PASSPHRASE.
KEY_NOT_SEALED
  A passphrase was given for a key file without one.
  > Leave it away.
KEY_PASSPHRASE_EMPTY
  An empty passphrase seals nothing.
  > Choose one, or seal without one.
KEY_PASSPHRASE_NOT_TEXT
  The passphrase given is no UTF-8 text.
  > Give it in UTF-8.
KEY_PASSPHRASE_WRONG
  The passphrase does not open the key file.
  > Try again; it cannot be recovered.
DEVELOPMENT_KEY
  Everybody knows the development keys, and this network is none.
  > Make keys of your own.
# assets
UNKNOWN_ASSET
  There is no such asset.
  > Register it first.
INVALID_ASSET
  The asset is not described as the ledger asks.
  > Correct what the message names.
NOT_REGISTRANT
  Only the asset's registrant may do this.
  > Let the registrant send or sign it.
CLAIM_CONTESTED
  The shares of a right would exceed 100 %.
  > Claim what is left, or settle the shares first.
INVALID_CLAIM
  The claim names an unknown right, territory or share.
  > Correct what the message names.
LINEAGE_CYCLE
  A work would derive from itself.
  > Link to a work that is not derived from this one.
LINEAGE_FIXED
  Something derives from the work already, so its parents stay as they are.
  > Link a work to its parents first.
LINEAGE_REFUSED
  The edge is not one that the ledger can pay along.
  > Correct the rate or the relation.
INVALID_PAYOUT
  The payout sheet does not add up to the whole.
  > Give shares that add up to 100 %.
# terms, offers, agreements
TERMS_REFUSED
  The ledger's checker refuses the terms.
  > `python -m licensing_vm check FILE` shows line, caret, reason and remedy.
TEMPLATE_REFUSED
  The checker refuses the terms.
  > See line, caret, reason and remedy.
TERMS_TOO_FINE
  The terms round finer than the ledger's currency.
  > Round at the ledger's scale or coarser.
PROGRAM_REFUSED
  A program is not what the verifier accepts.
  > Compile it from its source again.
TEMPLATE_EXISTS
  This name and version are published already.
  > Publish under a new version.
UNKNOWN_TEMPLATE
  There is no such template.
  > `licet terms list` shows what is published.
TEMPLATE_DEPRECATED
  The template takes no new agreements.
  > Use a newer version.
NOT_PUBLISHER
  Only the template's publisher may do this.
  > Let the publisher send it.
UNKNOWN_OFFER
  There is no such offer.
  > `licet offer list` shows what is offered.
OFFER_CLOSED
  The offer is withdrawn or has expired.
  > Ask for a new one.
INVALID_BINDING
  A role, parameter or slot of the terms is missing, unknown or bound twice.
  > Bind each as the terms ask.
BINDING_REFUSED
  A parameter is outside the bounds that the terms give it.
  > Bind it within its bounds.
NO_TITLE
  Those who sign do not hold the whole right that would be granted.
  > Let the holders sign, up to 100 %.
EXCLUSIVE_OVERLAP
  The right is reserved for somebody, there and then.
  > Choose another time, territory, medium or action.
EFFECTIVE_IN_PAST
  Rights cannot begin before they are agreed.
  > Start now or later.
UNKNOWN_AGREEMENT
  There is no such agreement.
  > `licet license list` shows yours.
AGREEMENT_CLOSED
  Nothing is owed or open under the agreement.
  > Nothing is to be done.
CLAUSE_REFUSED
  A clause cannot be computed from these facts.
  > Check the facts reported.
# usage and periods
UNKNOWN_FACT
  The terms name no such fact.
  > Report a fact that they name.
NOT_REPORTER
  The terms name another party as the fact's source.
  > Let that party report.
REPORT_EXISTS
  The reporter has used this report id.
  > Choose a new id for further rows; a report counts once.
ROW_OUTSIDE_PERIOD
  A row falls outside the report's period.
  > Report each row in its own period.
PERIOD_OUTSIDE_TERM
  The period does not meet the agreement's term.
  > Name a period within it.
INVALID_ROWS
  The report's columns are not what the ledger asks.
  > Correct them, or use the SDK's report_usage.
INVALID_PERIOD
  The time is no start of a period of the terms' calendar.
  > Give the start of a period.
PERIOD_CLOSED
  A closed period is never reopened.
  > An adjustment falls in the next period.
PERIOD_NOT_DUE
  The period has not ended, or its waiting time has not passed.
  > Close it then.
PERIOD_ORDER
  An earlier or a shorter period is still open.
  > Close that one first.
FACT_MISSING
  The fact was not reported, and the terms have no other value for it.
  > Let the source report; a row of zero will do.
FACT_TOO_LARGE
  The total is beyond what the terms may count.
  > Check the quantities.
USAGE_ROWS_BAD
  Rows of the file are wrong; nothing was reported.
  > Correct the lines that are named.
USAGE_HEADER_BAD
  The first line does not name the columns.
  > Name exactly agreement, at, quantity.
USAGE_FILE_BAD
  The file cannot be read as CSV in UTF-8.
  > Save it so.
PERIOD_INVALID
  The text names no period.
  > Write 2026-01, 2026-q1, 2026, 2026-w02 or 2026-01-05.
# money
UNKNOWN_CURRENCY
  The currency is not on the ledger.
  > Use one that `licet status -o json` lists.
NOT_ISSUER
  Only an issuer of the currency may do this.
  > Let an issuer send it.
INVALID_AMOUNT
  The amount is zero, or finer than the terms round.
  > Give an amount above zero in whole grains.
INSUFFICIENT_FUNDS
  The balance is short; nothing moved.
  > Deposit first, or pay less.
NOTHING_OWED
  More would be paid than is owed under the agreement.
  > `licet money owed` shows what is owed.
SPLIT_REFUSED
  Shares are zero or negative.
  > Give shares that are not all zero.
TOO_MANY
  One transaction would touch more than the ledger allows.
  > Do it in smaller parts.
TOO_WIDE
  It would make more payments, obligations or grants at once than one transaction may.
  > Divide it: fewer payees, obligations, grants or agreements at once.
BLOCK_FULL
  The block had no room left for this transaction's work. It consumed no id.
  > Submit the same bytes again; the SDK does so by itself within its deadline.
EXECUTION_FAULT
  The ledger's own program failed at this transaction; nothing of it was done.
  > Report it with the transaction's id: the fault is ours.
AMOUNT_INVALID
  The text is no amount of a currency on this ledger.
  > Write "EUR 250.00".
# questions and proofs
NOT_FOUND
  There is no such thing on the ledger.
  > Check the id.
INVALID_QUESTION
  The question uses codes or times that the ledger does not know.
  > Ask with the ledger's own.
REQUEST_INVALID
  A field of the request cannot be answered.
  > See the field's comment in proto/licet/v1.
PAGE_TOKEN_INVALID
  The page token is not one that this list gave.
  > Start the list again.
CURSOR_INVALID
  The cursor is no event's, of another network, or beyond the ledger of the node that was asked.
  > Start again, or from a cursor that you received from this network.
INVALID_ENCODING
  Bytes are not the one canonical form of what they should be.
  > Use them exactly as they were produced.
INVALID_SIGNATURE
  A signature does not verify, or its key may never sign.
  > Sign the bytes as sent.
INVALID_PROOF
  The proof does not prove what it claims.
  > Ask another node, and check that genesis is your network's.
NOT_ANCHORED
  No final header carries the roots of that height yet.
  > Wait, or see `licet status`.
NOT_ANCHORED_YET
  No final header carries the roots of that height yet.
  > Wait for the next block.
HEIGHT_NOT_KEPT
  The node no longer keeps the state of that height.
  > Ask an archive node, or at a newer height.
# settings and use of the client
CONFIG_INVALID
  A setting is wrong.
  > Correct what the message names.
CONFIG_UNREADABLE
  A configuration file cannot be read.
  > Name one that can.
ARGUMENT_INVALID
  An argument of the command is wrong.
  > Correct what the message names.
TARGET_INVALID
  A node's address is wrong.
  > Give host:port.
GENESIS_INVALID
  The genesis file does not hash to its chain id, or is malformed.
  > Copy it again from your consortium.
GENESIS_UNREADABLE
  The genesis file cannot be read.
  > Name one that can.
WRONG_LOOP
  A client is used in another event loop than its own.
  > Connect in the loop that uses it, or use SyncClient.
WRONG_THREAD
  A synchronous client is used inside its own thread.
  > Use Client, with await.
FORKED
  A client crossed a fork.
  > Connect anew in the child.
CLIENT_CLOSED
  The client is closed.
  > Connect again.
NODE_ROOT_MISSING
  No folder holds a node to start.
  > Set LICET_NODE_ROOT to a clone of the repository, or give node_root=….
PYTHON_MISSING
  The interpreter that should run the nodes cannot be run.
  > Give `Network(python=…)` one of an environment that holds what a node needs.
NETWORK_FAILED
  A network for tests did not come up.
  > See the log that the message names.
# operating a node
PORT_IN_USE
  Something listens on the port already.
  > Choose another with --port, or end it.
SOCKET_PATH_TOO_LONG
  The path of the admin socket is longer than the system allows.
  > Choose a shorter data folder.
DATA_FOLDER_IN_USE
  Another process has the data folder open.
  > Stop it, or choose another folder.
DATA_FOLDER_UNUSABLE
  The data folder cannot be used.
  > Correct its permissions or choose another.
PORT_INVALID
  A port lies outside 1 to 65535.
  > Name a lower one, or 0 for free ones.
FOLDER_NOT_OURS
  The folder holds something already, which is not removed.
  > Choose an empty one.
PARTIES_INVALID
  The first parties of a new network cannot be used.
  > Correct the JSON list as the message says.
FOUNDING_INVALID
  What was given for a new network makes none.
  > Correct what the message names.
FILE_MISSING
  A file of the data folder is gone.
  > Restore the folder from a backup or rejoin.
ACKNOWLEDGED_LOST
  The store has less than it acknowledged.
  > Do not vote with it: restore it or rejoin.
STORAGE_DAMAGED
  Stored bytes are not what was written.
  > Restore the folder from a backup or rejoin.
STORAGE_DEAD
  A write failed, so the store is closed for good.
  > Free the disk and start the node again.
NEWER_SCHEMA
  A newer version wrote the data folder.
  > Start that version.
OLDER_SCHEMA
  An older version wrote the data folder.
  > Follow UPGRADING.md.
ALREADY_INITIALISED
  The folder holds a node already.
  > Start it, or choose another folder.
NOT_INITIALISED
  The folder holds no node.
  > Initialise it first.
NO_VALIDATOR
  The key is no validator's of genesis.
  > Use the key that the consortium admitted.
GENESIS_STATE_MISMATCH
  Genesis' entries do not give the root that it states.
  > Copy genesis.json again.
SIGNING_RECORD_MISSING
  The record of what this node signed is gone, so it never votes.
  > Let it catch up; rejoin with a new key.
SIGNING_RECORD_DAMAGED
  The record of what this node signed is damaged, so it never votes.
  > Let it catch up; rejoin with a new key.
GUARD_REFUSED
  The signer guard refused a second, different signature.
  > Report it: this is a bug of ours.
PEER_FAULT
  Another node sent what no honest one sends.
  > See its name in the log, and ask its operator.
BATCH_INVALID
  Another node sent a batch that breaks a rule of form.
  > See its name in the log, and ask its operator.
CLOCK_NOT_MANUAL
  Only a development network with a manual clock can be advanced.
  > Start devnet with --clock manual.
DEVNET_FAILED
  The development network did not come up.
  > See the log that the message names.
WORLD_FAILED
  The preloaded world could not be loaded.
  > See the log that the message names.
"""


def _read(text: str) -> dict[str, Meaning]:
    table: dict[str, Meaning] = {}
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for code, meaning, remedy in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        assert code not in table, code
        assert meaning.startswith("  "), code
        assert remedy.startswith("  > "), code
        table[code] = Meaning(meaning.strip(), remedy.removeprefix("  > "))
    return table


GLOSSARY: Final = MappingProxyType(_read(_TEXT))


def nearest(code: str) -> list[str]:
    """Codes that may have been meant."""
    return difflib.get_close_matches(code.upper(), list(GLOSSARY), n=3)
