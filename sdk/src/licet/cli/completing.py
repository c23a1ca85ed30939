"""`licet completion`: words of the command table for bash and zsh. Nothing is looked up while typing."""

from __future__ import annotations

from typing import Any

from licet.cli.parser import COMMANDS, Verb, options_of
from licet.cli.session import Session

_SCRIPT = """\
{zsh}_licet() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" path="${{COMP_WORDS[1]}}" words=""
  case "$path ${{COMP_WORDS[2]}}" in
{cases}
  esac
  [ "$COMP_CWORD" = 1 ] && words="{groups}"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ -z "$words" ] && COMPREPLY=($(compgen -f -- "$word"))
}}
complete -F _licet licet"""


def completion(session: Session, args: Any) -> int:
    """Print the script."""
    cases = []
    for name, entry in COMMANDS.items():
        if isinstance(entry, Verb):
            cases.append(f'    "{name} "*) words="{" ".join(options_of(entry))}" ;;')
            continue
        cases += [
            f'    "{name} {verb_name}") words="{" ".join(options_of(verb))}" ;;'
            for verb_name, verb in entry.items()
        ]
        cases.append(f'    "{name} "*) words="{" ".join(entry)}" ;;')
    zsh = "autoload -U +X bashcompinit && bashcompinit\n" if args.shell == "zsh" else ""
    print(_SCRIPT.format(zsh=zsh, cases="\n".join(cases), groups=" ".join(COMMANDS)))
    return 0
