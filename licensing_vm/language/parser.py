"""The parser: recursive descent from tokens to the syntax tree.

It stops at the first thing that is not the language (`Stop`), and refuses
constructs of later versions by name. It accepts more than the checker does
where a better reason can be given there: a parameter without bounds, a fact
without a source, a clause without a heading. The reference grammar beside the
tests accepts exactly the same texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from licensing_vm.language import syntax as s
from licensing_vm.language.clause_parser import pay, test
from licensing_vm.language.cursor import Cursor
from licensing_vm.language.diagnostics import Code
from licensing_vm.language.tokens import T
from licensing_vm.language.values import codes, duration, from_to, literal, money, percent, price
from licensing_vm.language.work import Work

_RIGHT_WORDS: Final = ("where", "during", "exclusive", "sublicense", "transfer")


def parse(source: str, work: Work | None = None) -> s.Template:
    """The syntax tree of one template. Raises `Stop`."""
    c = Cursor(source, work)
    c.need("template", "at the beginning")
    name = _template_name(c)
    c.need("version", "after the template's name")
    if c.now.kind is not T.VERSION:
        c.unexpected("a version such as 1.0.0")
    version_token = c.take()
    heading = c.string("the template's title in quotes")
    found: dict[str, list[Any]] = {word: [] for word in _ITEMS}

    def item() -> None:
        if not c.at(*_ITEMS):
            c.unexpected("one of " + ", ".join(_ITEMS))
        word = c.take()
        parsed = _ITEMS[word.text](c)
        if found[word.text] and word.text in _ONCE:
            c.stop(
                Code.NAME_TWICE,
                word.place,
                f"There are two `{word.text}` parts in this template.",
                "Put everything into one.",
            )
        found[word.text].append(parsed)

    c.block("around the template's parts", item)
    end = c.now
    if end.kind is not T.END:
        c.unexpected("the end of the file", "after the template")

    def once(word: str) -> Any:
        return found[word][0] if found[word] else None

    return s.Template(
        name=name,
        version=s.Name(version_token.text, version_token.place),
        heading=heading,
        legal=once("legal"),
        parties=once("parties") or (),
        assets=once("assets") or (),
        currency=once("currency"),
        params=once("params") or (),
        facts=once("facts") or (),
        periods=tuple(found["period"]),
        rates=tuple(found["rate"]),
        lineages=tuple(found["lineage"]),
        grants=tuple(found["grant"]),
        forbids=tuple(found["forbid"]),
        pays=tuple(found["pay"]),
        tests=tuple(found["test"]),
        end=end.place,
    )


def _template_name(c: Cursor) -> s.Name:
    if c.now.kind is T.DOTTED:
        token = c.take()
        return s.Name(token.text, token.place)
    return c.name("the template's name", declares=True)


def _legal(c: Cursor) -> s.Legal:
    title = c.string("the title of the legal text in quotes")
    c.need("sha256", "after the title of the legal text")
    if c.now.kind is not T.HEX:
        c.unexpected("the 64 hexadecimal digits of its SHA-256")
    token = c.take()
    c.skip(";")
    return s.Legal(title, token.text, token.place)


def _parties(c: Cursor) -> tuple[s.Named, ...]:
    def one() -> s.Named:
        name = c.name("a party's name", declares=True)
        c.need(":", "after the party's name")
        of = c.one_of(("one",), "after the party's name")
        c.end_statement("after the party")
        return s.Named(name, of)

    return c.block("around the parties", one)


def _assets(c: Cursor) -> tuple[s.Named, ...]:
    def one() -> s.Named:
        name = c.name("an asset's name", declares=True)
        c.need(":", "after the asset's name")
        kind = c.word("the kind of asset")
        c.end_statement("after the asset")
        return s.Named(name, kind)

    return c.block("around the assets", one)


def _currency(c: Cursor) -> s.Currency:
    name = c.word("a currency such as EUR")
    c.need("scale", "after the currency")
    scale = c.number("the number of decimals")
    c.need("round", "after the scale")
    rounding = c.word("a rounding rule such as half_even")
    c.end_statement("after the currency")
    return s.Currency(name, scale, rounding)


def _type(c: Cursor, words: tuple[str, ...]) -> s.TypeRef:
    if c.at("rate"):
        c.later(c.now, "facts that are rates")
    name = c.one_of(words, "as the type")
    if name.text == "count" and c.skip("<"):
        unit = c.word("the unit that is counted")
        c.need(">", "after the unit")
        return s.TypeRef(name, unit)
    if name.text == "money" and "percent" in words and c.at("per"):
        c.take()
        return s.TypeRef(name, c.word("the unit that is counted"))
    return s.TypeRef(name, None)


def _range(c: Cursor, *, default: bool) -> s.Range | None:
    if c.at("=") and default:
        place = c.take().place
        return s.Range(literal(c, "a value"), None, None, place)
    if not c.at("in"):
        return None
    place = c.take().place
    low = literal(c, "the lower bound")
    high = literal(c, "the upper bound") if c.skip("..") else low
    given = literal(c, "the default value") if default and c.skip("default") else None
    return s.Range(low, high, given, place)


def _params(c: Cursor) -> tuple[s.Param, ...]:
    types = ("money", "percent", "count", "territory", "medium", "duration")

    def one() -> s.Param:
        name = c.name("a parameter's name", declares=True)
        c.need(":", "after the parameter's name")
        of = _type(c, types)
        bounds = _range(c, default=True)
        c.end_statement("after the parameter")
        return s.Param(name, of, bounds)

    return c.block("around the parameters", one)


def _facts(c: Cursor) -> tuple[s.Fact, ...]:
    def one() -> s.Fact:
        name = c.name("a fact's name", declares=True)
        c.need(":", "after the fact's name")
        of = _type(c, ("count", "money"))
        bounds = _range(c, default=False)
        source = c.name("the party that reports it") if c.skip("from") else None
        period = c.name("a period") if c.skip("per") else None
        otherwise = mean = None
        if c.skip("else"):
            otherwise = c.one_of(("hold", "last", "zero", "mean"), "after `else`")
            if otherwise.text == "mean":
                mean = c.number("how many periods the mean is of")
        c.end_statement("after the fact")
        return s.Fact(name, of, bounds, source, period, otherwise, mean)

    return c.block("around the facts", one)


def _period(c: Cursor) -> s.Period:
    name = c.name("a period's name", declares=True)
    cadence = c.one_of(("daily", "weekly", "monthly", "quarterly"), "after the period's name")
    c.need("close", "after the period's length")
    c.need("after", "after `close`")
    after = duration(c)
    c.end_statement("after the period")
    return s.Period(name, cadence, after)


def _rate(c: Cursor) -> s.Rate:
    name = c.name("a rate's name", declares=True)
    c.need("on", "after the rate's name")
    fact = c.name("a fact")
    kind = c.one_of(("marginal", "slab"), "after the rate's fact")
    c.need("over", "after the kind of rate")
    over = c.word("a period, or `term`,")

    def tier() -> s.Tier:
        up_to: s.Number | s.Money | None = None
        if c.at("above"):
            place = c.take().place
        else:
            place = c.need("up", "at the beginning of a tier").place
            c.need("to", "after `up`")
            up_to = c.number("a threshold") if c.now.kind is T.NUMBER else money(c, "a threshold")
        c.need("->", "after the threshold")
        of = _tier_price(c)
        c.end_statement("after the tier")
        return s.Tier(up_to, of, place)

    return s.Rate(name, fact, kind, over, c.block("around the tiers", tier))


def _tier_price(c: Cursor) -> s.Price | s.Percent | s.Ref:
    if c.now.kind is T.NUMBER:
        return percent(c, c.number("a percentage"))
    if c.now.kind is T.NAME and c.following.kind is T.NUMBER:
        found = price(c)
        if isinstance(found, s.Price):
            return found
        c.unexpected("`per` and the unit that is counted", "after the price")
    name = c.name("a price such as EUR 0.002 per impression")
    return s.Ref(name, name.place)


def _lineage(c: Cursor) -> s.Lineage:
    name = c.name("a lineage's name", declares=True)
    slot = c.name("an asset") if c.skip("of") else None
    parts: dict[str, Any] = {}

    def part() -> None:
        word = c.one_of(("mode", "depth", "stack", "count"), "in a lineage")
        if word.text in parts:
            c.stop(Code.NAME_TWICE, word.place, f"This lineage has `{word.text}` twice.", "Remove one.")
        match word.text:
            case "mode":
                parts["mode"] = c.one_of(("relative", "absolute"), "after `mode`")
            case "depth":
                parts["depth"] = c.number("a number of generations")
            case "stack":
                c.need("max", "after `stack`")
                parts["stack"] = percent(c, c.number("a percentage"))
            case _:
                count = c.one_of(("once", "every"), "after `count`")
                if count.text == "every":
                    c.need("path", "after `every`")
                parts["count"] = count
        c.end_statement("in the lineage")

    c.block("around the lineage's parts", part)
    return s.Lineage(
        name, slot, parts.get("mode"), parts.get("depth"), parts.get("stack"), parts.get("count")
    )


def _listed(c: Cursor, what: str) -> tuple[s.Name, ...]:
    names = [c.word(what)]
    while c.skip(","):
        names.append(c.word(what))
    return tuple(names)


def _where(c: Cursor) -> tuple[s.Condition, ...]:
    conditions: list[s.Condition] = []
    while True:
        dimension = c.one_of(("territory", "medium"), "in `where`")
        c.need("in", "after the dimension")
        conditions.append(s.Condition(dimension, codes(c, "a code or a parameter")))
        if not c.skip("and"):
            return tuple(conditions)


def _grant(c: Cursor) -> s.Grant:
    name = c.name("a grant's name", declares=True)
    heading = c.maybe_string()
    c.need("{", "around the grant")
    c.need("permit", "at the beginning of the grant")
    actions = _listed(c, "an action")
    c.need("of", "after the actions")
    slots = _listed(c, "an asset")
    c.need("to", "after the assets")
    to = c.name("the party that gets the right")
    parts: dict[str, Any] = {}
    while not c.at("}"):
        if c.skip(";"):
            break
        word = c.one_of(_RIGHT_WORDS, "in the grant")
        if word.text in parts:
            c.stop(Code.NAME_TWICE, word.place, f"This grant has `{word.text}` twice.", "Remove one.")
        parts[word.text] = _right_part(c, word.text)
    c.need("}", "at the end of the grant")
    return s.Grant(
        name,
        heading,
        actions,
        slots,
        to,
        parts.get("where", ()),
        parts.get("during"),
        parts.get("exclusive"),
        parts.get("sublicense"),
        parts.get("transfer"),
    )


def _right_part(c: Cursor, word: str) -> Any:
    match word:
        case "where":
            return _where(c)
        case "during":
            span: s.Duration | s.Ref
            if c.now.kind is T.NUMBER:
                span = duration(c)
            else:
                name = c.name("a duration or a parameter")
                span = s.Ref(name, name.place)
            c.need("from", "after the duration")
            c.need("effective", "after `from`")
            return span
        case "exclusive":
            return c.one_of(("no", "sole", "yes"), "after `exclusive`")
        case _:
            if c.at("with"):
                first = c.take().place
                last = c.need("consent", "after `with`").place
                return s.Name("with", from_to(first, last))
            return c.one_of(("no", "with", "yes"), f"after `{word}`")


def _forbid(c: Cursor) -> s.Forbid:
    name = c.name("a prohibition's name", declares=True)
    heading = c.maybe_string()
    c.need("{", "around the prohibition")
    actions = _listed(c, "an action")
    c.need("of", "after the actions")
    slots = _listed(c, "an asset")
    where = _where(c) if c.skip("where") else ()
    excepted = _listed(c, "a grant") if c.skip("except") else ()
    c.skip(";")
    c.need("}", "at the end of the prohibition")
    return s.Forbid(name, heading, actions, slots, where, excepted)


_ITEMS: Final[Mapping[str, Callable[[Cursor], Any]]] = MappingProxyType(
    {
        "legal": _legal,
        "parties": _parties,
        "assets": _assets,
        "currency": _currency,
        "params": _params,
        "facts": _facts,
        "period": _period,
        "rate": _rate,
        "lineage": _lineage,
        "grant": _grant,
        "forbid": _forbid,
        "pay": pay,
        "test": test,
    }
)
_ONCE: Final = frozenset({"legal", "parties", "assets", "currency", "params", "facts"})
