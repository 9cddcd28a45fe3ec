"""Programs for scripts that call the client: `keyturn`, `python3` without packages, and a `curl` that has the one file."""

import sys
from pathlib import Path

from keyturn.client.pyz import build_pyz

# The address and the file are those of the scripts; what a broker really serves is tested with a broker.
_CURL = """#!/bin/sh
case "$*" in
  "-fsS --cacert /var/run/secrets/keyturn/ca.crt -o keyturn.pyz $KEYTURN_BROKER_URL/keyturn.pyz")
    exec cp "{folder}/keyturn.pyz" keyturn.pyz ;;
esac
echo "unexpected: curl $*" >&2
exit 2
"""


def client_programs(folder: Path) -> Path:
    """Make the programs in a new folder; returns it, for the path."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "keyturn.pyz").write_bytes(build_pyz())
    python = f'exec "{sys.executable}" -I -S'
    texts = {
        "keyturn": f'#!/bin/sh\n{python} "{programs}/keyturn.pyz" "$@"\n',
        "python3": f'#!/bin/sh\n{python} "$@"\n',
        "curl": _CURL.format(folder=programs),
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return programs
