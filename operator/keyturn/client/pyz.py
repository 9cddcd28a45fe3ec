"""The client as one file, `keyturn.pyz`: a zip archive that any Python from 3.9 on runs."""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import version
from pathlib import Path

_SHEBANG = b"#!/usr/bin/env python3\n"
# Old Pythons must be able to read this, to say that they are too old.
_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("keyturn: this needs Python 3.9 or later, and this is %d.%d" % sys.version_info[:2])

import signal

# The first process of a container gets this signal only if it has a handler for it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

from keyturn.client.command import run_client

sys.exit(run_client(sys.argv[1:], version={version!r}))
"""
# What the archive does not need: this module makes it.
_LEFT_OUT = {"pyz.py"}
_ALWAYS = (1980, 1, 1, 0, 0, 0)


def build_pyz() -> bytes:
    """The file, which is the same for the same version of Keyturn, byte for byte."""
    folder = Path(__file__).parent
    files = {
        f"keyturn/client/{path.name}": path.read_bytes()
        for path in sorted(folder.glob("*.py"))
        if path.name not in _LEFT_OUT
    }
    files["keyturn/__init__.py"] = b""
    files["__main__.py"] = _MAIN.format(version=version("keyturn")).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ALWAYS)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Otherwise it says on which system it was made.
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            opened.writestr(entry, content)
    return _SHEBANG + archive.getvalue()
