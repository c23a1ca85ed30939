"""Templates: publishing and deprecating.

Every validator checks the source and compiles it, once; what is stored is the source as read and the
program as it will run, under the program's hash (L-12). A template that the checker refuses is refused
with the checker's own message. Name and version are unique to their publisher.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from licet.entities import (
    StoredProgram,
    Template,
    TemplateName,
    program_key,
    template_key,
    template_name_key,
)
from licet.transactions import DeprecateTemplate, PublishTemplate

from licensing_vm.domain.bound import grain_factor
from licensing_vm.domain.context import Context
from licensing_vm.errors import Refused
from licensing_vm.language.checker import check
from licensing_vm.language.diagnostics import TemplateRefused
from licensing_vm.program.encoding import encode, program_hash

PUBLISHED_MAX: Final = (
    6_000  # units of work of checking a source, beyond what it declares; three for two bytes
)
REWRITTEN: Final = 100  # so many bytes of a source that is read and written again are a unit


def publish_template(context: Context, command: PublishTemplate) -> None:
    context.spend(min(PUBLISHED_MAX, len(command.source) * 3 // 2))
    try:
        checked = check(command.source, warn=False)  # what would only be pointed out costs time
    except AssertionError as broken:
        # Checking reads the source alone and moves nothing: its assertions fail on all machines alike.
        raise Refused(
            "EXECUTION_FAULT", "The checker failed at this template.", {"command": "PublishTemplate"}
        ) from broken
    program = checked.program
    if program is None:
        why = TemplateRefused(checked.report)
        raise Refused("TERMS_REFUSED", why.message, why.facts, remedy=why.remedy)
    grain_factor(program, context.currency(program.currency))
    digest = program_hash(program)
    publisher = context.sender
    name_key = template_name_key(publisher, program.name, program.version)
    for key in (template_key(digest), name_key):
        if context.state.has(key):
            raise Refused(
                "TEMPLATE_EXISTS",
                f"{program.name} {program.version} is published already.",
                {"template": program.name, "version": program.version, "program_hash": digest.hex()},
            )
    state = context.state
    state.define(
        template_key(digest),
        Template(
            program_hash=digest,
            name=program.name,
            version=program.version,
            title=program.heading,
            publisher=publisher,
            source=command.source,
            deprecated=False,
            published_height=context.height,
        ),
    )
    state.define(program_key(digest), StoredProgram(code=encode(program)))
    state.define(name_key, TemplateName(program_hash=digest))
    context.index.append(f"template/name/{program.name}/{program.version}/{digest.hex()}".encode())
    context.event(
        "template.published",
        {
            "template": program.name,
            "version": program.version,
            "program_hash": digest.hex(),
            "publisher": publisher,
        },
    )


def deprecate_template(context: Context, command: DeprecateTemplate) -> None:
    key = template_key(command.program_hash)
    template = context.state.get(key, Template)
    if template is None:
        raise Refused("UNKNOWN_TEMPLATE", "No template with this program hash is published.")
    if template.publisher != context.sender:
        raise Refused(
            "NOT_PUBLISHER", f"{template.publisher} published it.", {"publisher": template.publisher}
        )
    if template.deprecated:
        raise Refused("TEMPLATE_DEPRECATED", "It is deprecated already.")
    context.spend(len(template.source) // REWRITTEN)
    context.state.define(key, replace(template, deprecated=True))
    context.event(
        "template.deprecated",
        {"template": template.name, "version": template.version, "program_hash": template.program_hash.hex()},
    )
