"""Makes the input files of the examples, the same bytes on every machine.

    python -m examples.make_inputs            writes examples/catalogue/*.csv and examples/usage/*.csv
    python -m examples.make_inputs --check    says whether the files are what this program writes

The files are shipped: the demo reads them and never runs this. Works stand in an order in which every
parent comes before its children, because the ledger fixes a work's parents once something derives
from it. Content hashes are of the words "content of ASSET", for there is no content.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
SEED: Final = 20260101
WORKS: Final = 200
USAGE_ROWS: Final = 24_000
CREATIVES: Final = 20
MONTH_START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00Z
DAY_MS: Final = 86_400_000

CONTRIBUTORS: Final = (
    ("ada.okafor", "Ada Okafor"),
    ("bruno.keller", "Bruno Keller"),
    ("chiara.ricci", "Chiara Ricci"),
    ("daniel.moreau", "Daniel Moreau"),
    ("elif.aydin", "Elif Aydın"),
    ("felix.brandt", "Felix Brandt"),
    ("grace.mwangi", "Grace Mwangi"),
    ("hana.sato", "Hana Satō"),
    ("ines.carvalho", "Inês Carvalho"),
    ("jonas.lindqvist", "Jonas Lindqvist"),
    ("katya.petrova", "Katya Petrova"),
    ("leo.fontaine", "Léo Fontaine"),
)
SUBJECTS: Final = (
    "Harbour",
    "Orchard",
    "Night train",
    "Market",
    "Glacier",
    "Workshop",
    "Lighthouse",
    "Meadow",
)
LIGHTS: Final = ("at dawn", "in rain", "at noon", "under snow", "at dusk", "in fog", "by lamplight")


@dataclass(slots=True, kw_only=True)
class Work:
    """A row of works.csv, with its parents and claims."""

    asset: str
    kind: str
    title: str
    registrant: str
    parents: list[tuple[str, str, str]] = field(default_factory=list)  # parent, relation, percent
    claims: list[tuple[str, str]] = field(default_factory=list)  # holder, percent


class Catalogue:
    """The works in the order in which they are registered."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.works: list[Work] = []

    def names(self, kind: str) -> list[str]:
        """Ids of one kind so far."""
        return [work.asset for work in self.works if work.kind == kind]

    def title(self) -> str:
        """A title that two works may share, as in life."""
        return f"{self.rng.choice(SUBJECTS)} {self.rng.choice(LIGHTS)}"

    def add(self, prefix: str, kind: str, title: str, registrant: str) -> Work:
        """A work that its registrant holds whole."""
        number = sum(work.asset.startswith(f"{prefix}-") for work in self.works) + 1
        work = Work(asset=f"{prefix}-{number:03}", kind=kind, title=title, registrant=registrant)
        work.claims = [(registrant, "100")]
        self.works.append(work)
        return work

    def contributor(self) -> str:
        """One of the contributors."""
        return self.rng.choice(CONTRIBUTORS)[0]

    def sources(self) -> None:
        """What people made: photos (some held by two), styles, prompts, sound, text, video."""
        for number in range(70):
            owner = CONTRIBUTORS[number % len(CONTRIBUTORS)][0]
            photo = self.add("photo", "photo", self.title(), owner)
            if number % 9 == 4:
                partner = CONTRIBUTORS[(number + 5) % len(CONTRIBUTORS)][0]
                photo.claims = [(owner, "60"), (partner, "40")]
        for number in range(15):
            owner = CONTRIBUTORS[(3 * number) % len(CONTRIBUTORS)][0]
            self.add("style", "style", f"{self.title()}, in the hand of {owner.split('.')[0].title()}", owner)
        for _ in range(10):
            self.add("prompt", "prompt", f"Prompt: {self.title().lower()}", self.contributor())
        for _ in range(3):
            self.add(
                "sound", "sound_recording", f"Field recording: {self.title().lower()}", self.contributor()
            )
        for _ in range(4):
            self.add("text", "text", f"Caption set: {self.title().lower()}", self.contributor())
        for _ in range(5):
            self.add("video", "video", self.title(), self.contributor())

    def models(self) -> None:
        """What machines learned: data sets of photos, a pool of data sets, a base model, its tunings."""
        photos = self.names("photo")
        for number in range(4):
            data = self.add("dataset", "dataset", f"Photo data set {number + 1}", "agency")
            data.parents = [
                (photo, "composite", "15")
                for photo in self.rng.sample(photos[15 * number : 15 * number + 15], 3)
            ]
        pool = self.add("pool", "data_pool", "Agency data pool 2025", "agency")
        pool.parents = [(name, "composite", "30") for name in self.names("dataset")[:2]]
        pool = self.add("pool", "data_pool", "Agency data pool 2026", "agency")
        pool.parents = [(name, "composite", "30") for name in self.names("dataset")[2:]]
        base = self.add("model", "ml_model", "Studio image model, base", "studio")
        base.parents = [("pool-001", "trained_on", "20")]
        tuned = self.add("model", "ml_model", "Studio image model, tuned", "studio")
        tuned.parents = [(base.asset, "fine_tuned", "25"), ("pool-002", "trained_on", "15")]
        small = self.add("model", "ml_model", "Studio image model, small", "studio")
        small.parents = [(tuned.asset, "distilled", "30")]
        for number, style in enumerate(self.names("style")[:4]):
            lora = self.add("lora", "lora", f"Adapter {number + 1}", "studio")
            lora.parents = [("model-002", "fine_tuned", "20"), (style, "style_of", "15")]

    def images(self) -> None:
        """What the studio generates, some of it from what it generated before."""
        styles, prompts, loras = self.names("style"), self.names("prompt"), self.names("lora")
        for number in range(60):
            image = self.add("image", "generated_image", self.title(), "studio")
            source = self.rng.choice([*loras, "model-002", "model-003"])
            image.parents = [(source, "derived", "15")]
            image.parents.append((self.rng.choice(styles), "style_of", self.rng.choice(["10", "12.5", "15"])))
            if number % 3 == 0:
                image.parents.append((self.rng.choice(prompts), "input_to", "2.5"))
            if number % 4 == 3:
                image.parents[0] = (f"image-{self.rng.randint(1, number):03}", "derived", "12")

    def creatives(self) -> None:
        """What the studio composes for advertisers."""
        images, photos = self.names("generated_image"), self.names("photo")
        for number in range(CREATIVES):
            creative = self.add("creative", "composite", f"Campaign {number + 1}: {self.title()}", "studio")
            creative.parents = [(self.rng.choice(images), "composite", "10")]
            creative.parents.append((self.rng.choice(photos), "composite", "10"))


def make_catalogue() -> list[Work]:
    """The two hundred works."""
    catalogue = Catalogue(random.Random(SEED))
    for step in (catalogue.sources, catalogue.models, catalogue.images, catalogue.creatives):
        step()
    assert len(catalogue.works) == WORKS, len(catalogue.works)
    return catalogue.works


def time_text(offset_ms: int) -> str:
    """A moment of January 2026 as the reports write it."""
    day, rest = divmod(offset_ms, DAY_MS)
    seconds, ms = divmod(rest, 1000)
    return f"2026-01-{day + 1:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}Z"


def make_usage() -> list[tuple[str, str, str]]:
    """A month of impressions: a few campaigns above ten million, some around one, many small ones."""
    rng = random.Random(SEED + 1)
    scale = [6_000 if n < 2 else 1_500 if n < 8 else 150 for n in range(CREATIVES)]
    rows = []
    for number in range(USAGE_ROWS):
        # Rights begin when they are agreed, early on the first day: rows begin on the second.
        offset = DAY_MS + number * (30 * DAY_MS // USAGE_ROWS) + rng.randrange(30_000)
        campaign = rng.randrange(CREATIVES)
        quantity = rng.randrange(1, 4 * scale[campaign])
        rows.append((f"ad-{campaign + 1:03}", time_text(offset), str(quantity)))
    return rows


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def make_files() -> dict[str, bytes]:
    """Every input file by its path below examples/."""
    works = make_catalogue()
    parties = [
        ("studio", "Demo Studio", "organisation"),
        ("agency", "Demo Agency", "organisation"),
        ("advertiser", "Demo Advertiser", "organisation"),
        ("publisher", "Demo Publisher", "organisation"),
        *((party, name, "person") for party, name in CONTRIBUTORS),
    ]
    content = [sha256(f"content of {work.asset}".encode()).hexdigest() for work in works]
    return {
        "catalogue/parties.csv": _csv(("party", "name", "kind"), parties),
        "catalogue/works.csv": _csv(
            ("asset", "kind", "title", "registrant", "content_sha256"),
            [(w.asset, w.kind, w.title, w.registrant, c) for w, c in zip(works, content, strict=True)],
        ),
        "catalogue/lineage.csv": _csv(
            ("child", "parent", "relation", "rate_percent"),
            [(work.asset, *parent) for work in works for parent in work.parents],
        ),
        "catalogue/claims.csv": _csv(
            ("asset", "holder", "right", "territory", "share_percent"),
            [(work.asset, holder, "any", "WORLD", share) for work in works for holder, share in work.claims],
        ),
        "usage/impressions-2026-01.csv": _csv(("agreement", "at", "quantity"), make_usage()),
    }


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(prog="python -m examples.make_inputs")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    stale = []
    for name, data in make_files().items():
        path = HERE / name
        if args.check:
            if not path.is_file() or path.read_bytes() != data:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"examples/{name}: {len(data.splitlines()) - 1} rows")
    if stale:
        print(f"make_inputs: {', '.join(stale)} differ; run python -m examples.make_inputs.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
