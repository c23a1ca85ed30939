"""What an isolated node knows of the reason, as fields of a log line (C-13)."""

from __future__ import annotations

from node.core.comparing import Difference, key_text, left_text
from node.core.isolation import IsolationReport


def isolation_fields(report: IsolationReport, names: tuple[str, ...]) -> dict[str, object]:
    """The sentence, and beside it the place and who says so."""
    fields: dict[str, object] = {"known": report.sentence(names)}
    main = report.main
    if main is None:
        return fields
    if isinstance(main.verdict, Difference):
        found = main.verdict
        fields |= {
            "height": found.height,
            "position": found.position,
            "transaction": found.transaction.hex(),
            "key": key_text(found.key),
            "ours": left_text(found.ours),
            "theirs": left_text(found.theirs),
        }
    fields |= {"peers": ",".join(names[peer] for peer in main.peers), "attested": main.attested}
    return fields
