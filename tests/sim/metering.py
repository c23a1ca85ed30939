"""What is metered in a simulated network: two facts of a picture, by `metered.terms`, closed by the day.

Users report what they viewed, the agency what was printed; anybody may close a day
that is over; users pay. A civil day ends in the middle of every run (`MIDNIGHT_MS`),
two more end when the run lets the days pass.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from licet.entities import Course, course_key
from licet.records import decode
from licet.transactions import (
    AcceptOffer,
    AssetBinding,
    ClosePeriod,
    Command,
    CreateOffer,
    Money,
    Pay,
    PublishTemplate,
    RegisterAsset,
    ReportUsage,
    RoleBinding,
)
from licet.types import Hash32

from licensing_vm.language.checker import check
from licensing_vm.program.encoding import program_hash
from node.storage.port import Storage
from tests.sim.genesis import CURRENCY, MIDNIGHT_MS

TERMS: Final = Path(__file__).parent / "metered.terms"
OWNER: Final = "ada"
AGENCY: Final = "ben"
ARTIST: Final = "cleo"
OFFER: Final = "metered-offer"
USERS: Final = {"meter-0": "dora", "meter-1": "dora", "meter-2": "emil"}  # agreement → who uses and pays
DAY_MS: Final = 86_400_000
DAYS: Final = (MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)  # that a run may meter
GRAIN_MINOR: Final = 10_000  # a cent, at six decimals


@cache
def terms() -> tuple[str, Hash32]:
    """The source, and the hash of its program."""
    source = TERMS.read_text()
    program = check(source).program
    assert program is not None, "the simulator's terms are accepted"
    return source, Hash32(program_hash(program))


def opening() -> list[Command]:
    """The owner registers the picture, publishes the terms and offers."""
    source, program = terms()
    return [
        RegisterAsset(asset="metered-picture", kind="image", title="A metered picture"),
        PublishTemplate(source=source),
        CreateOffer(
            offer=OFFER,
            program_hash=program,
            roles=(
                RoleBinding(role="owner", party=OWNER),
                RoleBinding(role="agency", party=AGENCY),
                RoleBinding(role="artist", party=ARTIST),
            ),
            assets=(AssetBinding(slot="work", asset="metered-picture"),),
        ),
    ]


def acceptance(agreement: str) -> list[Command]:
    """A user agrees."""
    return [AcceptOffer(agreement=agreement, offer=OFFER)]


def report(random: Random, number: int, day: int) -> tuple[str, list[Command]]:
    """Who reports what: packed rows of one fact and one day; one in twelve is wrong somewhere."""
    by_agency = random.random() < 0.4
    user = random.choice(("dora", "emil"))
    known = [one for one, whose in USERS.items() if by_agency or whose == user]
    agreements = random.sample(known, random.randint(1, len(known)))
    rows = random.randint(1, 30)
    offsets = [random.randrange(DAY_MS) for _ in range(rows)]
    places = [random.randrange(len(agreements)) for _ in range(rows)]
    wrong = random.randrange(48)
    if wrong == 0:
        offsets[-1] = DAY_MS  # the first moment of the next day
    elif wrong == 1:
        agreements.append(agreements[0])  # listed twice
    elif wrong == 2:
        day += 3_600_000  # no day begins there
    elif wrong == 3:
        agreements = sorted({*agreements, "meter-2", "meter-0"})  # of a user it does not report for
    command = ReportUsage(
        # Some ids come twice: the second is refused, whatever it says.
        report=f"report-{number if random.random() < 0.85 else number // 2}",
        fact="prints" if by_agency else "views",
        period_start_ms=day,
        agreements=tuple(agreements),
        agreement_index=places,
        offset_ms=offsets,
        quantity=[random.randint(0, 12 if by_agency else 90) for _ in range(rows)],
    )
    return (AGENCY if by_agency else user), [command]


def closing(agreement: str, day: int) -> list[Command]:
    """Close a day, due or not."""
    return [ClosePeriod(agreement=agreement, period="day", period_start_ms=day)]


def payment(random: Random, agreement: str, store: Storage, *, whole: bool) -> list[Command]:
    """What the user pays after a look at a node: all, a part, too much, or what is no whole cent."""
    raw = store.get(course_key(agreement))
    open_items = decode(Course, raw).open if raw is not None else ()
    owed = sum(item.outstanding for item in open_items if item.debtor == USERS[agreement])
    kind = random.randrange(20)
    if whole or kind < 6:
        minor = max(owed, GRAIN_MINOR)
    elif kind == 18:
        minor = owed + GRAIN_MINOR
    elif kind == 19:
        minor = max(1, owed // 2 - 1)
    else:
        minor = random.randint(1, max(1, owed // GRAIN_MINOR)) * GRAIN_MINOR
    return [Pay(agreement=agreement, amount=Money(currency=CURRENCY, minor=minor))]
