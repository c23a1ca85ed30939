"""Code lists: territories, media, actions and asset kinds as trees (L-14).

A code is a leaf or a group of leaves; a set of codes is a bit mask over the
leaves, so that "every leaf covered" and "overlap" are one operation each.
Agreements pin `CODELISTS_VERSION` (L-12): changing any list here means a new
version, and old agreements keep being read with theirs. Countries are ISO
3166-1 alpha-2. Currencies are the alphabetic codes of ISO 4217: of those that
belong to no country (they begin with X), metals and units of account are in,
the code for "no currency" and that for tests are not, and nor are codes that
somebody chose for himself: a template with a mistyped currency must not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, final

CODELISTS_VERSION: Final = 1

_COUNTRIES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS "
    "BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE "
    "EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM "
    "HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC "
    "LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA "
    "NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW "
    "SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO "
    "TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
_CURRENCIES: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS "
    "KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR "
    "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
    "UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST YER ZAR ZMW ZWG "
    "XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA"
)
_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"

# Every group is written as its members: leaves, or groups that stand above it in the table.
_TERRITORIES: Final = (
    ("EU", _EU),
    ("EEA", "EU IS LI NO"),
    ("EFTA", "CH IS LI NO"),
    ("DACH", "AT CH DE"),
    ("BENELUX", "BE LU NL"),
    ("NORDICS", "AX DK FI FO GL IS NO SE SJ"),
    ("NORTH_AMERICA", "CA MX US"),
    ("MERCOSUR", "AR BO BR PY UY"),
    ("ASEAN", "BN ID KH LA MM MY PH SG TH TL VN"),
    ("GCC", "AE BH KW OM QA SA"),
    ("WORLD", _COUNTRIES),
)
_MEDIA: Final = (
    ("digital", "web social app email streaming podcast game metaverse"),
    ("print", "newspaper magazine book packaging poster"),
    ("broadcast", "tv radio"),
    ("out_of_home", "billboard transit in_store"),
    ("any", "digital print broadcast out_of_home cinema live merchandise"),
)
_ACTIONS: Final = (
    ("reproduce", "copy download"),
    ("distribute", "sell share rent"),
    ("perform", "play stream exhibit"),
    ("adapt", "modify translate remix excerpt synchronize"),
    ("ai_train", "ai_pretrain ai_fine_tune ai_distill"),
    ("ai", "ai_train ai_input ai_generate ai_index"),
    ("use", "reproduce display distribute perform adapt archive ai"),
)
# A kind is itself and everything below it: a slot for an `image` takes a `generated_image` too.
_KINDS: Final = (
    ("image", "photo illustration generated_image"),
    ("video", "generated_video"),
    ("sound_recording", "generated_audio"),
    ("text", "generated_text"),
    ("work", "image video sound_recording musical_work text composite design"),
    ("ml_model", "lora"),
    ("data_pool", "dataset"),
    ("asset", "work ml_model data_pool style prompt voice likeness"),
)


@final
class CodeTree:
    """One code list. `mask` of a set of codes has a bit for each leaf that it covers."""

    __slots__ = ("_masks", "leaves", "name")

    def __init__(
        self, name: str, groups: Iterable[tuple[str, str]], *, groups_are_codes: bool = False
    ) -> None:
        self.name = name
        masks: dict[str, int] = {}
        leaves: list[str] = []

        def leaf(code: str) -> int:
            leaves.append(code)
            return 1 << (len(leaves) - 1)

        for group, members in groups:
            mask = leaf(group) if groups_are_codes else 0
            for member in members.split():
                if member not in masks:
                    masks[member] = leaf(member)
                mask |= masks[member]
            assert group not in masks, group
            masks[group] = mask
        self._masks: Mapping[str, int] = MappingProxyType(masks)
        self.leaves: tuple[str, ...] = tuple(leaves)

    def __contains__(self, code: str) -> bool:
        return code in self._masks

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, leaves and groups, sorted."""
        return tuple(sorted(self._masks))

    @property
    def everything(self) -> int:
        return (1 << len(self.leaves)) - 1

    def mask(self, codes: Iterable[str]) -> int:
        """The leaves that these codes cover. Raises KeyError for a code that is not in the list."""
        mask = 0
        for code in codes:
            mask |= self._masks[code]
        return mask

    def covers(self, wide: Iterable[str], narrow: Iterable[str]) -> bool:
        """Whether every leaf of `narrow` is one of `wide`."""
        return not self.mask(narrow) & ~self.mask(wide)

    def overlap(self, one: Iterable[str], other: Iterable[str]) -> bool:
        return bool(self.mask(one) & self.mask(other))

    def leaf_codes(self, mask: int) -> tuple[str, ...]:
        """The leaves in a mask, for messages."""
        return tuple(code for at, code in enumerate(self.leaves) if mask >> at & 1)


CURRENCIES: Final = frozenset(_CURRENCIES.split())
TERRITORIES: Final = CodeTree("territory", _TERRITORIES)
MEDIA: Final = CodeTree("medium", _MEDIA)
ACTIONS: Final = CodeTree("action", _ACTIONS)
KINDS: Final = CodeTree("asset kind", _KINDS, groups_are_codes=True)
