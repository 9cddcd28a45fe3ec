"""The account that 1Password's own clients look at in the tests: names, ids and contents known in advance."""

import hashlib
from base64 import b64encode
from typing import Any

# RFC 6238, appendix B: for this key and moment the one-time password is 89005924, of which apps show six digits.
NOW = 1_234_567_890.0
OTP_URI = "otpauth://totp/test:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=test"
OTP_CODE = "005924"


def identifier(word: str) -> str:
    """An id with `word` in it, in Connect's form."""
    return f"{word:0<26}"


def digest(content: bytes) -> dict[str, Any]:
    """What drivers say of bytes."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


NOWHERE = identifier("nowhere")
PRODUCTION = identifier("production")
STAGING = identifier("staging")
ODD = identifier("oddnames")
FILES = identifier("files")
TWIN_VAULTS = (identifier("twinvault1"), identifier("twinvault2"))

LOGIN = identifier("login")
DATABASE = identifier("database")
NOTE = identifier("note")
TWINS = (identifier("twin1"), identifier("twin2"))
OTHER = identifier("other")
EXTRA = identifier("extra")
BUNDLE = identifier("bundle")

# Titles that look like ids, and the ids of what bears them.
LIKE_AN_ID = "abcdefghijklmnopqrstuvwxyz"
TITLED_LIKE_AN_ID = identifier("titledlikeanid")
VAULT_LIKE_AN_ID = "zyxwvutsrqponmlkjihgfedcba"
VAULT_TITLED_LIKE_AN_ID = identifier("vaulttitledlikeanid")

ODD_NAMES = {
    "spaces": "with spaces in it",
    "plus": "a+b",
    "ampersand": "this & that",
    "hash": "say #hash",
    "percent": "50% off",
    "slash": "a/b",
    "unicode": "Zürich 東京 🔑",
    "quote": 'a "quoted" word',
}
"""Titles of items in the vault of odd names, and names of vaults, by what is odd about them."""


def odd_item(kind: str) -> str:
    """The id of the item with an odd title."""
    return identifier(f"item{kind}")


def odd_vault(kind: str) -> str:
    """The id of the vault with an odd name."""
    return identifier(f"vault{kind}")


FILE_CONTENTS: dict[str, tuple[str, bytes]] = {
    "text": ("tls.crt", b"-----BEGIN CERTIFICATE-----\n"),
    "binary": ("blob", bytes(range(256))),
    "empty": ("empty.txt", b""),
    "unicode": ("schlüssel 🔑.txt", "grüße".encode()),
    "samename1": ("notes.txt", b"first"),
    "samename2": ("notes.txt", b"second"),
}
"""Names and contents of the bundle's files, by the words in their ids."""


def file(kind: str) -> str:
    """The id of one of the bundle's files."""
    return identifier(f"file{kind}")


SCENERY: dict[str, Any] = {
    "vaults": [
        {
            "name": "Production",
            "id": PRODUCTION,
            "description": "what runs",
            "items": [
                {
                    "title": "login",
                    "id": LOGIN,
                    "category": "LOGIN",
                    "favorite": True,
                    "tags": ["app", "🔑"],
                    "version": 3,
                    "urls": [
                        {"href": "https://app.example", "label": "website", "primary": True},
                        {"href": "https://admin.example", "label": "admin"},
                    ],
                    "sections": [{"id": EXTRA, "label": "extra"}],
                    "fields": [
                        {"label": "username", "value": "ada"},
                        {"label": "password", "value": "canary-login"},
                        {"label": "api key", "section": EXTRA, "type": "CONCEALED", "value": "canary-key"},
                        {"id": "TOTP_1", "label": "one-time password", "type": "OTP", "value": OTP_URI},
                    ],
                },
                {
                    "title": "database",
                    "id": DATABASE,
                    "category": "DATABASE",
                    "fields": [
                        {"label": "username", "value": "app"},
                        {"label": "password", "value": "canary-database"},
                        {"label": "port", "value": "5432"},
                    ],
                },
                {
                    "title": "note",
                    "id": NOTE,
                    "category": "SECURE_NOTE",
                    "fields": [{"purpose": "NOTES", "value": "line one\r\nline two 東京"}],
                },
                {"title": "twin", "id": TWINS[0]},
                {"title": "twin", "id": TWINS[1]},
                {"title": LIKE_AN_ID, "id": TITLED_LIKE_AN_ID},
            ],
        },
        {"name": "Staging", "id": STAGING, "items": [{"title": "other", "id": OTHER}]},
        {
            "name": "Odd names",
            "id": ODD,
            "items": [{"title": title, "id": odd_item(kind)} for kind, title in ODD_NAMES.items()],
        },
        {
            "name": "Files",
            "id": FILES,
            "items": [
                {
                    "title": "bundle",
                    "id": BUNDLE,
                    "category": "SECURE_NOTE",
                    "files": [
                        {"name": name, "id": file(kind), "base64": b64encode(content).decode()}
                        for kind, (name, content) in FILE_CONTENTS.items()
                    ],
                },
            ],
        },
        {"name": "Twins", "id": TWIN_VAULTS[0]},
        {"name": "Twins", "id": TWIN_VAULTS[1]},
        {"name": VAULT_LIKE_AN_ID, "id": VAULT_TITLED_LIKE_AN_ID},
        *({"name": name, "id": odd_vault(kind)} for kind, name in ODD_NAMES.items()),
    ],
    "tokens": [
        {"name": "all", "vaults": {"*": "rw"}},
        {"name": "reader", "vaults": {"Production": "r"}},
        {"name": "writer", "vaults": {"Production": "w"}},
        {"name": "nothing", "vaults": {}},
        {"name": "expired", "vaults": {"*": "rw"}, "expires_in_s": -1.0},
    ],
}
