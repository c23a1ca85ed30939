"""What the checker makes of single constructs: types, bounds, rounding, splits, tests, warnings."""

from __future__ import annotations

import pytest

from licensing_vm.language.checker import Checked, check
from licensing_vm.language.diagnostics import Code
from licensing_vm.program import model as m
from licensing_vm.program.limits import LEGS_MAX, SOURCE_BYTES_MAX, TEXT_CHARS_MAX

HEAD = """template a.b version 1.0.0 "T" {{
  parties {{ x: one; y: one; z: one; }}
  assets {{ w: image; }}
  currency EUR scale 2 round {rounding};
  params {{ fee: money in EUR 0.00 .. EUR 100.00 default EUR 10.00;
    p: percent in 0% .. 50%; n: count in 1 .. 9; {params} }}
  period day_ daily close after 1 day;
  period month monthly close after 1 day;
  period quarter quarterly close after 1 day;
  period week weekly close after 1 day;
  facts {{ f: count<item> from x per month else zero;
    s: money in EUR 0.00 .. EUR 1_000.00 from x per month else zero;
    d: count<item> from x per day_ else zero; {facts} }}
  lineage up {{ mode relative; depth 8; stack max 40%; count once; }}
  {decls}
  grant G "G" {{ permit display of w to x during 1 day from effective }}
  pay P "P" {trigger} {{ {body} }}
  pay All "All" on activated {{ x pays EUR 1.00; split EUR 1.00 {{ 50% -> y; rest -> z; }} }}
  {tests}
}}"""


def build(
    body: str = "x pays fee to y;",
    *,
    trigger: str = "on activated",
    params: str = "",
    facts: str = "",
    decls: str = "",
    tests: str = "",
    rounding: str = "half_even",
) -> Checked:
    return check(
        HEAD.format(
            body=body,
            trigger=trigger,
            params=params,
            facts=facts,
            decls=decls,
            tests=tests,
            rounding=rounding,
        )
    )


def codes(checked: Checked) -> list[Code]:
    return [d.code for d in checked.report.errors]


def clause(checked: Checked) -> m.Clause:
    assert checked.program is not None, checked.report.render("test")
    return checked.program.clauses[0]


CLOSE = "at close of month"


# --- values reach accounts rounded once (L-6) ---------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "x pays fee to y;",
        "x pays fee + fee to y;",
        "x pays fee * n to y;",
        "x pays EUR 5.00 to y;",
        "let a = fee * 10%; x pays a to y;",
        "let a = fee * 10%; let b = fee - a; x pays b to y; x pays a to z;",
        "let a = fee * 10%; let b = a * 50%; x pays b to y; x pays a to z;",  # both are accounts
        "let a = fee * p; let b = fee * p * 12.5% * n; x pays a + b to y;",
        "let share = p * 50%; let a = fee * share; x pays a to y;",
        "let twice = fee * 2; let a = twice * 10%; x pays a to y;",  # nothing was rounded before
        "let a = fee - fee * p; x pays a to y;",
        "let a = fee - fee * p - fee * 50%; x pays a to y;",
    ],
)
def test_rounded_once(body: str) -> None:
    assert codes(build(body)) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x pays fee * 10% to y;", Code.NEVER_ROUNDED),
        ("x pays EUR 5.005 to y;", Code.NEVER_ROUNDED),
        ("let a = fee * 10%; let b = a * 50%; x pays b to y;", Code.ROUNDED_TWICE),
        ("let a = fee * 10%; let b = a * 2; let c = b * 50%; x pays c to y;", Code.ROUNDED_TWICE),
        ("let a = fee - fee * p - fee * 51%; x pays a to y;", Code.NEGATIVE),
        ("let a = fee * 60%; let b = fee * 60%; x pays fee - a - b + EUR 1.00 to y;", Code.NEGATIVE),
        ("x pays p to y;", Code.TYPE),
        ("x pays n to y;", Code.TYPE),
        ("x pays fee * fee to y;", Code.TYPE),
        ("x pays fee + n to y;", Code.TYPE),
        ("let a = 5% + 3; x pays fee to y;", Code.TYPE),
        ("x pays USD 1.00 to y;", Code.CURRENCY),
        ("x pays nothing to y;", Code.NAME_UNKNOWN),
        ("x pays fee to nobody;", Code.NAME_UNKNOWN),
        ("let fee = fee; x pays fee to y;", Code.NAME_TWICE),
        ("x pays fee;", Code.NO_PAYEE),
        ("x pays fee; x pays fee; split fee { rest -> y; }", Code.NO_PAYEE),
        ("split fee { rest -> y; } x pays fee;", Code.SPLIT_UNMATCHED),
        ("x pays fee to y; split fee { rest -> y; }", Code.SPLIT_UNMATCHED),
    ],
)
def test_refused_values(body: str, code: Code) -> None:
    assert code in codes(build(body))


def test_a_rate_is_rounded_where_it_is_named() -> None:
    rate = "rate r on f marginal over month { above -> EUR 0.001 per item; }"
    assert codes(build("let a = r(f); x owes a to y due in 1 day;", trigger=CLOSE, decls=rate)) == []
    assert codes(build("x owes r(f) to y due in 1 day;", trigger=CLOSE, decls=rate)) == []
    twice = "let a = r(f); let b = a * 50%; x owes b to y due in 1 day;"
    assert codes(build(twice, trigger=CLOSE, decls=rate)) == [Code.ROUNDED_TWICE]
    both = "let a = r(f); let b = a * 50%; x owes a + b to y due in 1 day;"
    assert codes(build(both, trigger=CLOSE, decls=rate)) == []


def test_two_payments_have_a_split_each() -> None:
    found = clause(
        build("x pays fee; x pays fee; split fee { rest -> y; } split fee { 5% -> y; rest -> z; }")
    )
    assert [len(split.legs) for split in found.splits] == [1, 2]


# --- facts, rates, triggers (L-2) ----------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "fact", "fine"),
    [
        (CLOSE, "s", True),
        ("on used(s)", "s", True),
        ("on activated", "s", False),
        ("at close of quarter", "s", False),
        ("on used(f)", "s", False),
    ],
)
def test_a_fact_is_read_when_it_is_known(trigger: str, fact: str, fine: bool) -> None:
    found = codes(build(f"let a = {fact} * 5%; x owes a to y due in 1 day;", trigger=trigger))
    assert found == ([] if fine else [Code.FACT_PERIOD])


@pytest.mark.parametrize(
    ("fact", "over", "fine"),
    [
        ("f", "month", True),
        ("f", "quarter", True),
        ("f", "term", True),
        ("d", "week", True),
        ("d", "quarter", True),
        ("f", "week", False),
        ("f", "day_", False),
    ],
)
def test_a_rate_runs_over_whole_periods_of_its_fact(fact: str, over: str, fine: bool) -> None:
    rate = f"rate r on {fact} marginal over {over} {{ above -> EUR 0.01 per item; }}"
    checked = build(f"x owes r({fact}) to y due in 1 day;", trigger=f"on used({fact})", decls=rate)
    assert codes(checked) == ([] if fine else [Code.FACT_PERIOD])
    if fine:
        assert clause(checked).befores == (0,)


def test_only_the_close_of_its_own_span_rates_from_zero() -> None:
    for over, befores in (("month", ()), ("quarter", (0,)), ("term", (0,))):
        rate = f"rate r on f marginal over {over} {{ above -> EUR 0.01 per item; }}"
        assert clause(build("x owes r(f) to y due in 1 day;", trigger=CLOSE, decls=rate)).befores == befores


@pytest.mark.parametrize(
    ("tiers", "code"),
    [
        ("slab over month { up to 10 -> EUR 2.00 per item; above -> EUR 1.90 per item; }", None),
        ("slab over month { up to 10 -> EUR 2.00 per item; above -> EUR 1.80 per item; }", Code.USAGE_LOWERS),
        ("slab over month { above -> EUR 2.00 per item; }", None),
        ("marginal over month { up to 10 -> EUR 2.00 per item; above -> EUR 0.00 per item; }", None),
        ("marginal over month { up to 0 -> EUR 2.00 per item; above -> EUR 1.00 per item; }", Code.TIERS),
        ("marginal over month { up to 1.5 -> EUR 2.00 per item; above -> EUR 1.00 per item; }", Code.NUMBER),
        (
            "marginal over month { up to EUR 10.00 -> EUR 2.00 per item; above -> EUR 1.00 per item; }",
            Code.TYPE,
        ),
        ("marginal over month { }", Code.TIERS),
        ("marginal over month { above -> 5%; }", Code.TYPE),
        ("marginal over month { above -> fee; }", Code.TYPE),
        ("marginal over month { above -> p; }", Code.TYPE),
        ("marginal over month { above -> each; }", None),
        ("marginal over year_ { above -> each; }", Code.NAME_UNKNOWN),
    ],
)
def test_tiers(tiers: str, code: Code | None) -> None:
    checked = build(
        "x owes r(f) to y due in 1 day;",
        trigger=CLOSE,
        decls=f"rate r on f {tiers}",
        params="each: money per item in EUR 0.00 .. EUR 1.00 default EUR 0.50;",
    )
    assert codes(checked) == ([code] if code else [])


def test_a_price_may_be_finer_than_the_grain() -> None:
    checked = build("let a = f * EUR 0.00015 per item; x owes a to y due in 1 day;", trigger=CLOSE)
    assert checked.program is not None
    assert m.Constant(m.ValueType(m.Kind.PRICE, "item"), 3, 200) in checked.program.constants


# --- splits (L-3, L-4, L-13) ---------------------------------------------------------


@pytest.mark.parametrize(
    ("legs", "code"),
    [
        ("rest -> y;", None),
        ("100% -> y;", None),
        ("33.3333% -> y; 66.6667% -> z;", None),
        ("33.3333% -> y; 66.6666% -> z;", Code.SPLIT),
        ("p -> y; 50% -> z;", Code.SPLIT),
        ("p -> y; 50% -> z; rest -> y;", None),
        ("p -> y; p -> z; rest -> y;", None),
        ("p -> y; 50.0001% -> z; rest -> y;", Code.SPLIT),
        ("lineage up; 60% -> y; rest -> z;", None),
        ("lineage up; 60.0001% -> y; rest -> z;", Code.STACK),
        ("lineage up; 10% -> y; p -> z; rest -> z;", None),
        ("lineage up; 10.0001% -> y; p -> z; rest -> z;", Code.STACK),
        ("lineage up; 25% -> lineage up; rest -> z;", Code.SPLIT),
        ("25% -> lineage up; 75% -> z;", Code.SPLIT),
        ("25% -> lineage up; rest -> z;", None),
        ("p -> lineage up; rest -> z;", None),
        ("n -> y; rest -> z;", Code.TYPE),
        ("fee -> y; rest -> z;", Code.TYPE),
        ("", Code.SPLIT),
    ],
)
def test_split_legs(legs: str, code: Code | None) -> None:
    assert codes(build(f"x pays fee; split fee {{ {legs} }}")) == ([code] if code else [])


def test_512_legs_are_the_most() -> None:
    def split(legs: int) -> str:
        return "x pays fee; split fee { " + "0.01% -> y; " * (legs - 1) + "rest -> z; }"

    assert codes(build(split(LEGS_MAX))) == []
    assert codes(build(split(LEGS_MAX + 1))) == [Code.TOO_BIG]


# --- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "code"),
    [
        ("q: money = EUR 5.00;", None),
        ("q: money = EUR 5;", None),
        ("q: money in EUR 5.00 .. EUR 5.00;", None),
        ("q: money in EUR 5.00;", Code.PARAM_BOUNDS),
        ("q: percent in 5% .. 100.0001%;", Code.NUMBER),
        ("q: count<seat> in 1 .. 10 default 11;", Code.PARAM_BOUNDS),
        ("q: duration in 1 month .. 2 years default 18 months;", None),
        ("q: duration in 30 days .. 2 years;", Code.PARAM_BOUNDS),
        ("q: duration = 0 days;", Code.NUMBER),
        ("q: duration = 101 years;", Code.NUMBER),
        ("q: territory in {DE, AT} default CH;", Code.PARAM_BOUNDS),
        ("q: territory in EEA .. WORLD;", Code.PARAM_BOUNDS),
        ("q: territory in WORLD default {EU, NORDICS};", None),
        ("q: medium = {web, tv};", None),
        ("q: medium = telepathy;", Code.CODE_UNKNOWN),
        ("web: medium = tv;", Code.NAME_TWICE),
        ("fee: money = EUR 1.00;", Code.NAME_TWICE),
        ("q: money;", Code.PARAM_BOUNDS),
        ("q: money = 5%;", Code.TYPE),
        ("q: money = EUR 99_999_999_999_999_999_999.00;", Code.NUMBER),
    ],
)
def test_parameters(param: str, code: Code | None) -> None:
    assert codes(build(params=param)) == ([code] if code else [])


# --- rights (L-14) -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "code"),
    [
        ('forbid F "F" { ai of w }', None),
        ('forbid F "F" { use of w }', Code.OVERLAP),  # display is a use
        ('forbid F "F" { use of w except G }', None),
        ('grant H "H" { permit sell of w to y where territory in EU during 1 day from effective } '
         'forbid F "F" { distribute of w where territory in {US, CH} }', None),
        ('grant H "H" { permit sell of w to y where territory in EU during 1 day from effective } '
         'forbid F "F" { distribute of w where territory in NORDICS }', Code.OVERLAP),
        ('grant H "H" { permit sell of w to y where medium in print during 1 day from effective } '
         'forbid F "F" { distribute of w where medium in web }', None),
        ('grant H "H" { permit sell of w to y where medium in tv and medium in web during d1 }',
         Code.NAME_TWICE),
        ('grant H "H" { permit sell of w to y where territory in fee during d1 }', Code.TYPE),
        ('grant H "H" { permit sell of w to y during p from effective }', Code.TYPE),
        ('grant H "H" { permit sell of v to y during 1 day from effective }', Code.NAME_UNKNOWN),
        ('grant G "again" { permit sell of w to y during 1 day from effective }', Code.NAME_TWICE),
        ('grant P "as a clause" { permit sell of w to y during 1 day from effective }', Code.NAME_TWICE),
    ],
)  # fmt: skip
def test_rights(rights: str, code: Code | None) -> None:
    rights = rights.replace("during d1", "during 1 day from effective")
    assert codes(build(decls=rights)) == ([code] if code else [])


def test_a_grant_says_what_it_says() -> None:
    rights = (
        'grant H "All" { permit sell, copy of w to y where medium in {web, print} and territory in DE '
        "during 2 weeks from effective exclusive yes sublicense with consent transfer yes }"
    )
    checked = build(decls=rights)
    assert checked.program is not None
    grant = checked.program.grants[0]
    assert grant.actions == ("copy", "sell")
    assert [(w.dimension, w.codes) for w in grant.where] == [
        (m.Kind.MEDIUM, ("print", "web")),
        (m.Kind.TERRITORY, ("DE",)),
    ]
    assert (grant.during, grant.to) == (m.Span(0, 14), 1)
    assert (grant.exclusive, grant.sublicense, grant.transfer) == (
        m.Exclusive.YES,
        m.Consent.WITH_CONSENT,
        m.Consent.YES,
    )


# --- tests and warnings --------------------------------------------------------------


TEST = 'test "t" {{ given p = 1%; given n = 1; {} }}'


def test_what_no_test_holds_is_pointed_out() -> None:
    body = "let a = fee * 12.5%; x pays a; split a { 40% -> y; rest -> z; }"
    nothing = build(
        body,
        tests=TEST.format("given fee = EUR 0.00; expect paid to x = EUR 0.00;"),
    )
    pointed = {d.place.column for d in nothing.report.diagnostics if "No test notices" in d.reason}
    assert len(pointed) == 5  # 12.5 %, 40 %, EUR 1.00, 50 %, the cap
    held = build(
        body,
        tests=TEST.format("given fee = EUR 80.00; expect paid to y = EUR 4.50;"),
    )
    assert codes(held) == []
    assert sum("No test notices" in d.reason for d in held.report.diagnostics) == 1  # the cap alone


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("expect paid to y = EUR 10.50;", None),
        ("expect paid to y = EUR 10.51;", Code.TEST_FAILS),
        ("expect owed to y = EUR 10.50;", Code.TEST_FAILS),
        ("given fee = EUR 100.01; expect paid to y = EUR 10.50;", Code.TEST_SETUP),
        ("given s = EUR 1_000.01; expect paid to y = EUR 10.50;", Code.TEST_SETUP),
        ("given p = 1%; expect paid to y = EUR 10.50;", Code.NAME_TWICE),
        ("given q = 1%; expect paid to y = EUR 10.50;", Code.NAME_UNKNOWN),
        ("expect paid to q = EUR 10.50;", Code.NAME_UNKNOWN),
        ("expect paid to y = USD 10.50;", Code.CURRENCY),
        ("given lineage up = { y: 5%; } expect paid to y = EUR 10.50;", Code.NAME_TWICE),
        ("given fee = EUR 1.00;", Code.TEST_SETUP),
    ],
)
def test_tests(test: str, code: Code | None) -> None:
    assert codes(build(tests=TEST.format(test))) == ([code] if code else [])


def test_a_test_gives_what_has_no_default() -> None:
    assert codes(build(tests='test "t" { given n = 1; expect paid to y = EUR 10.50; }')) == [Code.TEST_SETUP]


def test_all_errors_are_said_together_in_order() -> None:
    found = build(
        "x pays fee; split fee { 5% -> y; }",
        params="q: money; r: percent in 5% .. 1%;",
        facts="g: count<item> per month;",
        decls="forbid F { display of w }",
    )
    assert codes(found) == [
        Code.PARAM_BOUNDS,
        Code.PARAM_BOUNDS,
        Code.FACT_ELSE,
        Code.FACT_SOURCE,
        Code.HEADING,
        Code.OVERLAP,
        Code.SPLIT,
    ]
    places = [d.place for d in found.report.errors]
    assert places == sorted(places)


# --- limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "#" * (SOURCE_BYTES_MAX + 1),
        "a " * 70_000,
        'template a version 1.0.0 "' + "x" * 2_001 + '"',
        f"template {'a' * 65}",
    ],
    ids=("bytes", "words", "text", "name"),
)
def test_sources_are_bounded(source: str) -> None:
    assert codes(check(source)) == [Code.TOO_BIG]


@pytest.mark.parametrize(
    "expression",
    ["(" * 25 + "fee" + ")" * 25, " + ".join(["fee"] * 66)],
    ids=("nesting", "length"),
)
def test_expressions_are_bounded(expression: str) -> None:
    assert codes(build(f"x pays {expression} to y;")) == [Code.TOO_BIG]


def test_products_that_explode_are_refused() -> None:
    names = [f"q{n}" for n in range(12)]
    params = " ".join(f"{name}: percent in 0% .. 50%;" for name in names)
    body = (
        "let a = " + " * ".join(f"({name} + p + 1%)" for name in names) + "; let b = fee * a; x pays b to y;"
    )
    assert codes(build(body, params=params)) == [Code.TOO_BIG]


def test_values_too_large_for_an_account_are_refused() -> None:
    assert codes(build("let a = f * EUR 20.00 per item; x owes a to y due in 1 day;", trigger=CLOSE)) == [
        Code.OVERFLOW
    ]
    small = "g: count<item> in 0 .. 1_000 from x per month else zero;"
    body = "let a = g * EUR 20.00 per item; x owes a to y due in 1 day;"
    assert codes(build(body, trigger=CLOSE, facts=small)) == []


def test_tests_that_cost_too_much_are_refused() -> None:
    split = "x pays fee; split fee { " + "0.01% -> y; " * 250 + "rest -> z; }"
    tests = "".join(
        f'test "t{n}" {{ given p = 1%; given n = 1; expect paid to x = EUR 0.00; }} ' for n in range(40)
    )
    checked = build(" ".join([split] * 2), tests=tests)
    assert codes(checked) == [Code.TOO_BIG]


@pytest.mark.parametrize("hidden", [
    "\u202e", "\x1b", "\x00", "\u200b", "\r", "\ud800", "\u00ad", "\u034f", "\u115f", "\u180e", "\u206a",
    "\u2800", "\u3164", "\ue000", "\ufe0f", "\uffa0", "\ufffb", "\uffff", "\U0001d173", "\U0001fffe",
    "\U000e0041", "\U000e007f", "\U000e0100", "\U0010ffff",
])  # fmt: skip
def test_invisible_characters_are_refused(hidden: str) -> None:
    for place in (f'test "{hidden}x" {{ }}', f"# {hidden}x\n"):
        (found,) = build(tests=place).report.errors
        assert found.code is Code.SYNTAX
        assert f"U+{ord(hidden):04X}" in found.reason


def test_the_caret_stands_right_in_a_template_on_one_line() -> None:
    source = " ".join(
        HEAD.format(
            body="x pays fee to nobody;",
            trigger="on activated",
            params="",
            facts="",
            decls="",
            tests="",
            rounding="up",
        ).split()
    )
    (found,) = check(source).report.errors
    head, line, caret, _ = found.render([source], "x").split("\n")
    assert head.startswith(f"x:1:{source.index('nobody') + 1}: error")
    assert line[caret.index("^") :].startswith("nobody")
    assert caret.count("^") == len("nobody")
    assert len(line) < 180


FREE = """template cc.by version 4.0.0 "Attribution" {{
  parties {{ author: one; anyone: one; {more} }}
  assets {{ w: work; }}
  currency EUR scale 2 round half_even;
  grant G1 "All" {{ permit reproduce of w to anyone during 70 years from effective }}
}}"""


def test_terms_that_grant_for_free_name_their_licensor_and_nobody_else() -> None:
    free = check(FREE.format(more=""))
    assert free.program is not None, free.report.render("free")
    assert [d.code for d in check(FREE.format(more="witness: one;")).report.errors] == [Code.ROLE_UNUSED]


@pytest.mark.parametrize(
    "amount",
    ["(fee + EUR 0.10) * 50%", "fee - (fee - EUR 0.10) * 5%", "fee - (fee - fee * 5%)", "fee * 50% * 50%"],
)
def test_a_remedy_quotes_the_calculation_with_its_parentheses(amount: str) -> None:
    checked = build(f"x pays {amount} to y;")
    [found] = checked.report.errors
    assert found.code is Code.NEVER_ROUNDED
    assert f"`{amount}`" in found.reason
    assert f"= {amount};" in found.remedy


def test_a_text_may_have_as_many_characters_as_the_limit_says() -> None:
    head = FREE.format(more="")
    assert check(head.replace("Attribution", "Ü" * TEXT_CHARS_MAX)).program is not None
    [found] = check(head.replace("Attribution", "Ü" * (TEXT_CHARS_MAX + 1))).report.errors
    assert (found.code, found.reason) == (Code.TOO_BIG, "This has 2_001 characters; the most is 2_000.")


@pytest.mark.parametrize(
    ("taken", "instead", "code"),
    [
        # A parameter of codes that was refused still meets the prohibitions.
        ("{DE, AT}", "{DE, EUR}", Code.CODE_UNKNOWN),
        # A lineage that nothing declares, where none is.
        ("rest -> y", "lineage up; rest -> y", Code.NAME_UNKNOWN),
        # A rate without its fact, read as a value, where there are no facts.
        ("x pays fee", "let b = r; x pays fee", Code.NAME_UNKNOWN),
    ],
)
def test_what_is_built_on_something_refused_is_refused_and_no_fault_of_ours(
    taken: str, instead: str, code: Code
) -> None:
    source = """template a.b version 1.0.0 "T" {
      parties { x: one; y: one; }
      assets { w: image; }
      currency EUR scale 2 round half_even;
      params { fee: money in EUR 1.00 .. EUR 9.00; where_ok: territory in {DE, AT} default DE; }
      grant G "G" { permit display of w to x where territory in where_ok during 1 day from effective }
      forbid F "F" { display of w where territory in {US} }
      pay P "P" on activated { x pays fee; split fee { rest -> y; } }
      MORE
    }"""
    rate = "rate r on f marginal over term { above -> EUR 1.00 per item; }" if "let b" in instead else ""
    source = source.replace("MORE", rate)
    assert check(source).program is not None or rate
    assert taken in source
    assert code in codes(check(source.replace(taken, instead)))
