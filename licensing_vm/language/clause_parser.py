"""Parsing of `pay` clauses and of tests."""

from __future__ import annotations

from licensing_vm.language import syntax as s
from licensing_vm.language.cursor import Cursor
from licensing_vm.language.diagnostics import Code, Place
from licensing_vm.language.tokens import T
from licensing_vm.language.values import duration, expression, literal, money, percent
from licensing_vm.program.limits import LEGS_MAX


def pay(c: Cursor) -> s.Pay:
    """What follows `pay`."""
    name = c.name("a clause's name", declares=True)
    heading = c.maybe_string()
    trigger = _trigger(c)
    because: list[s.Text] = []
    body: list[s.Statement] = []

    def statement() -> None:
        word = c.now
        if c.skip("because"):
            if because:
                c.stop(Code.NAME_TWICE, word.place, "This clause has two reasons.", "Join them into one.")
            because.append(c.string("the reason in quotes"))
            c.end_statement("after the reason")
        else:
            body.append(_statement(c))

    c.block("around the clause", statement)
    return s.Pay(name, heading, trigger, because[0] if because else None, tuple(body))


def _trigger(c: Cursor) -> s.Trigger:
    place = c.now.place
    if c.skip("at"):
        c.need("close", "after `at`")
        c.need("of", "after `close`")
        return s.Trigger("close", c.name("a period"), place)
    if not c.at("on"):
        c.unexpected("`on activated`, `on used(fact)` or `at close of period`")
    c.take()
    if c.one_of(("activated", "used"), "after `on`").text == "activated":
        return s.Trigger("activated", None, place)
    c.need("(", "after `used`")
    fact = c.name("a fact")
    c.need(")", "after the fact")
    return s.Trigger("used", fact, place)


def _statement(c: Cursor) -> s.Statement:
    place = c.now.place
    if c.skip("let"):
        name = c.name("a value's name", declares=True)
        c.need("=", "after the value's name")
        value = expression(c)
        c.end_statement("after the value")
        return s.Let(name, value, place)
    if c.skip("split"):
        amount = expression(c)
        return _split(c, amount, place)
    debtor = c.name("`let`, `split`, `because` or a party that pays or owes")
    verb = c.one_of(("pays", "owes"), "after the party")
    amount = expression(c)
    to = c.name("the party that is paid") if c.skip("to") else None
    due = None
    if verb.text == "owes":
        c.need("due", "after what is owed")
        c.need("in", "after `due`")
        due = duration(c)
    c.end_statement("after the payment")
    return s.Posting(debtor, amount, to, due, verb.place)


def _split(c: Cursor, amount: s.Expr, place: Place) -> s.Split:
    c.need("{", "around the split")
    legs: list[s.Leg] = []
    while not c.at("}"):
        legs.append(_leg(c))
        if len(legs) > LEGS_MAX:
            c.stop(
                Code.TOO_BIG, place, f"This split has more than {LEGS_MAX} legs.", "Divide it in two steps."
            )
        if not c.at("}"):
            c.end_statement("after the share")
    c.take()
    c.skip(";")
    return s.Split(amount, tuple(legs), place)


def _leg(c: Cursor) -> s.Leg:
    place = c.now.place
    if c.skip("lineage"):
        return s.Leg(None, False, True, c.name("a lineage"), place)
    share: s.Percent | s.Ref | None = None
    rest = c.skip("rest")
    if not rest:
        if c.now.kind is T.NUMBER:
            share = percent(c, c.number("a percentage"))
        else:
            name = c.name("a share such as 70%, a parameter, `rest` or `lineage`")
            share = s.Ref(name, name.place)
    c.need("->", "after the share")
    if not rest and c.skip("lineage"):
        return s.Leg(share, False, True, c.name("a lineage"), place)
    return s.Leg(share, rest, False, c.name("the party that gets the share"), place)


def test(c: Cursor) -> s.Test:
    """What follows `test`."""
    name = c.string("the test's name in quotes")
    lineages: list[s.GivenLineage] = []
    givens: list[s.Given] = []
    expects: list[s.Expect] = []

    def line() -> None:
        if c.skip("expect"):
            expects.append(_expect(c))
            return
        c.need("given", "or `expect` in a test")
        if c.skip("lineage"):
            lineages.append(_given_lineage(c))
            c.skip(";")
            return
        given = c.name("a parameter or a fact")
        before = c.skip("before")
        c.need("=", "after the name")
        givens.append(s.Given(given, before, literal(c, "a value")))
        c.end_statement("after the value")

    c.block("around the test", line)
    return s.Test(name, tuple(lineages), tuple(givens), tuple(expects))


def _expect(c: Cursor) -> s.Expect:
    kind = c.one_of(("paid", "owed"), "after `expect`")
    c.need("to", "after the kind of payment")
    payee = c.name("a party or an ancestor")
    c.need("=", "after the payee")
    amount = money(c)
    c.end_statement("after the amount")
    return s.Expect(kind.text == "paid", payee, amount)


def _given_lineage(c: Cursor) -> s.GivenLineage:
    lineage = c.name("a lineage")
    c.need("=", "after the lineage's name")
    c.need("{", "around the ancestors")
    weights: list[tuple[s.Name, s.Percent]] = []
    while not c.at("}"):
        ancestor = c.name("an ancestor's name", declares=True)
        c.need(":", "after the ancestor's name")
        weights.append((ancestor, percent(c, c.number("a percentage"))))
        if not c.at("}") and not c.skip(",") and not c.skip(";"):
            c.unexpected("`,` or `}`", "after the ancestor")
    c.take()
    return s.GivenLineage(lineage, tuple(weights))
