"""`python -m licensing_vm check|test|format|explain FILE…` – the author's tools, offline."""

from __future__ import annotations

import sys

from licensing_vm.cli.author import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
