"""`licet terms`: templates. Checking one offline is `python -m licensing_vm check` in a node's tree."""

from __future__ import annotations

from typing import Any

from licet.cli.arguments import STDIN, file_text, submission
from licet.cli.session import Session


def publish(session: Session, args: Any) -> int:
    """Publish a template; every validator checks it."""
    source, how = file_text(args.file), submission(session, args)
    outcome = session.acting.publish_template(source, how=how)
    session.done(f"Published {'the terms' if args.file == STDIN else args.file}", outcome)
    session.hint("licet terms list")
    return 0


def show(session: Session, args: Any) -> int:
    """One template with its source."""
    name, _, version = args.template.partition("@")
    template = session.client.get_template(name, version=version)
    session.show_message(
        template,
        id=template.program_hash.hex(),
        fields=(
            ("template", f"{template.name} {template.version}"),
            ("title", template.title),
            ("publisher", template.publisher),
            ("program", template.program_hash.hex()),
            ("deprecated", "yes" if template.deprecated else ""),
            ("source", "\n" + template.source),
        ),
    )
    session.hint(f"licet offer create OFFER --template {template.name}@{template.version} --role … --asset …")
    return 0


def list_all(session: Session, args: Any) -> int:
    """Templates."""
    session.show_all(
        session.client.list_templates(name=args.name),
        id=lambda template: str(template.program_hash.hex()),
        headings=("template", "version", "publisher", "title"),
        row=lambda template: (template.name, template.version, template.publisher, template.title),
    )
    return 0
