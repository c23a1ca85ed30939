#!/usr/bin/env bash
# Makes a virtual environment hold exactly one lock, and does nothing where it does already.
#
#   requirements/install.sh FOLDER LOCK
#
# Only wheels whose hashes stand in the lock are installed: nothing is built, nothing is resolved. A stamp
# keyed on the lock makes a second run cheap. The root's environment also gets a path file to sdk/src, so
# that `import licet` reads the tree. PYTHON=/path/to/python overrides the search for an interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1
lock=$2

# Answers "fits", "no-venv" (a fitting version without Debian's venv package) or nothing at all.
# A version manager's shim may exist and fail when called: only an answer counts, never the file.
probe() {
  "$1" - 2>/dev/null <<'PY' || true
import sys
if sys.version_info[:2] in ((3, 11), (3, 12)) and sys.implementation.name == "cpython":
    try:
        import ensurepip, venv
        print("fits")
    except ImportError:
        print("no-venv")
PY
}

find_python() {
  local name path version without_venv=""
  for name in ${PYTHON:-python3.11 python3.12 python3 python}; do
    while IFS= read -r path; do
      case "$(probe "$path")" in
        fits) printf '%s\n' "$path" && return 0 ;;
        no-venv) without_venv=${without_venv:-$path} ;;
      esac
    done < <(type -ap "$name" 2>/dev/null)
  done
  if [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "setup: $without_venv has no complete venv module: install the package python$version-venv." >&2
  else
    echo "setup: no Python 3.11 or 3.12 was found: install the package python3.11-venv or python3.12-venv." >&2
  fi
  return 1
}

stamp_of() { printf '%s/.stamp-%s' "$venv" "$(basename "$1" .txt)"; }
key_of() { cat "$1" requirements/install.sh | sha256sum | cut -d' ' -f1; }

mkdir -p build
exec 9>build/.setup.lock # `make demo` beside `make test`: take turns
flock 9

# An environment is bound to its folder and to its interpreter; a moved or orphaned one is made anew.
if ! grep -qsF -- "-m venv $(pwd -P)/$venv" "$venv/pyvenv.cfg" || [ "$(probe "$venv/bin/python")" != fits ]; then
  rm -rf "$venv"
fi
if [ "$(cat "$(stamp_of "$lock")" 2>/dev/null)" = "$(key_of "$lock")" ]; then
  exit 0
fi
# A run that was interrupted before pip was in place left nothing worth keeping.
if [ -d "$venv" ] && ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  rm -rf "$venv"
fi
if [ ! -d "$venv" ]; then
  python=$(find_python)
  echo "setup: making $venv with $python"
  "$python" -m venv "$venv"
fi
echo "setup: installing $lock into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
  --require-hashes --only-binary :all: -r "$lock"
if [ "$venv" = .venv ]; then
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  printf '%s\n' "$(pwd -P)/sdk/src" >"$site/licet-dev.pth"
  # The wheel's console script, for the tree: sdk/pyproject.toml names the same function.
  printf '#!%s\nimport sys\n\nfrom licet.cli import main\n\nsys.exit(main())\n' \
    "$(pwd -P)/$venv/bin/python" >"$venv/bin/licet"
  chmod +x "$venv/bin/licet"
fi
key_of "$lock" >"$(stamp_of "$lock")"
# dev.txt holds every pin of runtime.txt (tests/repo/test_locks.py), so it settles that stamp too.
if [ "$lock" = requirements/dev.txt ]; then
  key_of requirements/runtime.txt >"$(stamp_of requirements/runtime.txt)"
fi
