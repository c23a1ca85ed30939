"""L-14: closed world, every leaf covered, [start, end), forbids, and offers with their price."""

from __future__ import annotations

from dataclasses import replace

import pytest
from licet.entities import StoredProgram, program_key
from licet.transactions import AcceptOffer, AssetBinding, CreateAgreement, ParamBinding
from licet.types import Hash32

from licensing_vm.calendar import DAY_MS, Date, start_of
from licensing_vm.domain.authorise import Answer, Question, _beaten, _Use, authorise
from licensing_vm.errors import Refused
from licensing_vm.program.encoding import decode
from tests.unit.licensing_vm.domain.kit import EUR, Ledger, offer_of, publish, roles_of
from tests.unit.licensing_vm.domain.test_assets_and_title import EXCLUSIVE

FORBIDDING = """
template test.forbidding version 1.0.0 "Forbids" {
  parties { owner: one; buyer: one; }
  assets { work: image; }
  currency EUR scale 2 round half_even;
  params { fee: money in EUR 1.00 .. EUR 100.00; }
  grant G1 "All use" {
    permit display, adapt of work to buyer during 1 year from effective exclusive no sublicense no transfer no
  }
  grant G2 "Training at home" {
    permit ai_train of work to buyer where territory in {DE}
    during 1 year from effective exclusive no sublicense no transfer no
  }
  forbid F1 "No training abroad" { ai_train of work except G2 }
  pay P1 "Fee" on activated { buyer pays fee; split fee { rest -> owner; } }
  test "fee" { given fee = EUR 1.00; expect paid to owner = EUR 1.00; }
}
"""


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.party("studio", "agency", "buyer", "rival")
    ledger.fund("buyer", 1_000 * EUR)
    ledger.asset("studio", "picture")
    terms = publish(ledger, "stock.image_flat")
    roles = {"licensor": "studio", "agency": "agency"}
    ledger.run("studio", offer_of("flat", terms, roles, {"fee": "EUR 9.50"}, {"work": "picture"}))
    ledger.run("buyer", AcceptOffer(agreement="a1", offer="flat"))
    return ledger


def ask(ledger: Ledger, party: str = "buyer", **question: object) -> Answer:
    asked: dict[str, object] = {"action": "display", "territories": ("DE",), "media": ("web",), **question}
    rows = [done for done in ledger.state if done.startswith(b"agreement/")]
    return authorise(
        ledger.machine,
        Question(party=party, asset="picture", **asked),  # type: ignore[arg-type]
        sorted(key.decode().partition("/")[2] for key in rows),
        ["flat"],
        ledger.now,
    )


def test_l14_a_grant_that_covers_the_whole_use_permits_it(ledger: Ledger) -> None:
    answer = ask(ledger)
    assert (answer.allowed, answer.clauses, answer.agreements) == (True, ("a1:G1",), ("a1",))
    assert ask(ledger, action="reproduce", territories=("FR", "IS"), media=("social", "print")).allowed
    assert ask(ledger, territories=("EEA",)).allowed


@pytest.mark.parametrize(
    "question",
    [
        {"action": "adapt"},
        {"action": "use"},
        {"territories": ("DE", "US")},
        {"territories": ()},
        {"media": ("web", "tv")},
        {"media": ()},
        {"party": "rival"},
    ],
)
def test_l14_closed_world(ledger: Ledger, question: dict[str, object]) -> None:
    answer = ask(ledger, **question)  # type: ignore[arg-type]
    assert not answer.allowed
    assert answer.reason


def test_l14_intervals_are_closed_at_the_start_and_open_at_the_end(ledger: Ledger) -> None:
    start, end = ledger.now, start_of(Date(2028, 1, 1)) + ledger.now % DAY_MS
    assert ask(ledger, from_ms=start, until_ms=end).allowed
    assert not ask(ledger, from_ms=start, until_ms=end + 1).allowed
    assert not ask(ledger, from_ms=start - 1).allowed
    assert ask(ledger, from_ms=end - 1).allowed
    assert not ask(ledger, from_ms=end).allowed


def test_l14_a_forbid_beats_its_own_agreements_permit_and_no_other(ledger: Ledger) -> None:
    terms = publish(ledger, FORBIDDING)
    ledger.run(
        "studio",
        CreateAgreement(
            agreement="f1",
            program_hash=Hash32(terms),
            roles=roles_of(owner="studio", buyer="buyer"),
            params=(ParamBinding(name="fee", value="EUR 1.00"),),
            assets=(AssetBinding(slot="work", asset="picture"),),
        ),
        signers=["buyer"],
    )
    assert ask(ledger, action="translate", territories=("JP",), media=()).allowed
    assert not ask(ledger, action="ai_fine_tune", territories=("JP",)).allowed
    assert ask(ledger, action="ai_fine_tune", territories=("DE",)).allowed, "G2 is excepted"


def test_l14_a_forbid_that_excepts_nothing_beats_every_grant_of_its_terms(ledger: Ledger) -> None:
    # The checker refuses such a template, so the program is made by hand: the rule holds all the same.
    terms = publish(ledger, FORBIDDING)
    stored = ledger.read(program_key(terms), StoredProgram)
    program = decode(stored.code)
    use = _Use(Question(party="buyer", asset="picture", action="ai_distill", territories=("DE",)), ledger.now)
    assert _beaten(use, program, (), ("picture",), "G2") == ""
    strict = replace(program, forbids=(replace(program.forbids[0], excepted=()),))
    assert _beaten(use, strict, (), ("picture",), "G2") == "F1"
    assert _beaten(use, strict, (), ("another",), "G2") == ""
    other = _Use(Question(party="buyer", asset="picture", action="display"), ledger.now)
    assert _beaten(other, strict, (), ("picture",), "G1") == ""


def test_l14_offers_that_would_permit_it_come_with_their_price(ledger: Ledger) -> None:
    [quote] = ask(ledger, party="rival").offers
    assert (quote.offer, quote.price, quote.currency) == ("flat", 9_500_000, "EUR")
    assert quote.price_text == "EUR 9.50 when it is accepted"
    assert ask(ledger, party="rival", action="adapt").offers == ()
    assert ask(ledger, party="rival", territories=("US",)).offers == ()
    far = ledger.now + 1_000 * DAY_MS
    assert ask(ledger, party="rival", from_ms=far).offers == ()


def test_l15_an_offer_behind_anothers_exclusive_is_not_shown(ledger: Ledger) -> None:
    ledger.now += 800 * DAY_MS
    terms = publish(ledger, EXCLUSIVE)
    ledger.run(
        "studio",
        CreateAgreement(
            agreement="e1",
            program_hash=Hash32(terms),
            roles=roles_of(owner="studio", buyer="buyer"),
            params=(ParamBinding(name="fee", value="EUR 1.00"), ParamBinding(name="where_ok", value="EU")),
            assets=(AssetBinding(slot="work", asset="picture"),),
        ),
        signers=["buyer"],
    )
    assert ask(ledger, party="rival").offers == ()


@pytest.mark.parametrize(
    "question",
    [{"action": "steal"}, {"territories": ("XX",)}, {"media": ("mind",)}, {"from_ms": 5, "until_ms": 5}],
)
def test_questions_in_unknown_codes_are_refused(ledger: Ledger, question: dict[str, object]) -> None:
    with pytest.raises(Refused, match=r"There is no|before it begins"):
        ask(ledger, **question)  # type: ignore[arg-type]
