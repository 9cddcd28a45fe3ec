"""The item categories, and the fields that an item of each category has from the start."""

from connect_emulator.account.model import Field

_NOTES = Field(id="notesPlain", type="STRING", purpose="NOTES", label="notesPlain")

CREATABLE = frozenset({
    "LOGIN", "PASSWORD", "API_CREDENTIAL", "SERVER", "DATABASE", "CREDIT_CARD", "MEMBERSHIP", "PASSPORT",
    "SOFTWARE_LICENSE", "OUTDOOR_LICENSE", "SECURE_NOTE", "WIRELESS_ROUTER", "BANK_ACCOUNT", "DRIVER_LICENSE",
    "IDENTITY", "REWARD_PROGRAM", "EMAIL_ACCOUNT", "SOCIAL_SECURITY_NUMBER", "MEDICAL_RECORD", "SSH_KEY",
})  # fmt: skip
"""Documented categories but DOCUMENT and CUSTOM, which cannot be created through the API (documented)."""

FIELD_TYPES = frozenset({
    "STRING", "EMAIL", "CONCEALED", "URL", "OTP", "DATE", "MONTH_YEAR", "MENU", "ADDRESS", "PHONE",
    "CREDIT_CARD_NUMBER", "CREDIT_CARD_TYPE", "GENDER", "REFERENCE", "FILE", "SSHKEY", "UNKNOWN",
})  # fmt: skip
"""Field types as they are on the wire (seen); `TOTP` of the specification is refused."""

PURPOSES = {
    "LOGIN": frozenset({"USERNAME", "PASSWORD", "NOTES"}),
    "PASSWORD": frozenset({"PASSWORD", "NOTES"}),
}
"""Purposes a category takes; every other takes NOTES."""


def _plain(name: str, kind: str = "STRING", label: str = "") -> Field:
    return Field(id=name, type=kind, label=label or name)


BUILT_IN: dict[str, tuple[Field, ...]] = {
    "LOGIN": (
        Field(id="username", type="STRING", purpose="USERNAME", label="username"),
        Field(id="password", type="CONCEALED", purpose="PASSWORD", label="password"),
        _NOTES,
    ),
    "PASSWORD": (Field(id="password", type="CONCEALED", purpose="PASSWORD", label="password"), _NOTES),
    "API_CREDENTIAL": (
        _NOTES,
        _plain("username"),
        _plain("credential", "CONCEALED"),
        _plain("type", "MENU"),
        _plain("filename"),
        _plain("validFrom", "DATE", "valid from"),
        _plain("expires", "DATE"),
        _plain("hostname"),
    ),
    "DATABASE": (
        _NOTES,
        _plain("database_type", "MENU", "type"),
        _plain("hostname", label="server"),
        _plain("port"),
        _plain("database"),
        _plain("username"),
        _plain("password", "CONCEALED"),
        _plain("sid", label="SID"),
        _plain("alias"),
        _plain("options", label="connection options"),
    ),
    "SSH_KEY": (
        _NOTES,
        _plain("public_key", label="public key"),
        _plain("fingerprint"),
        _plain("private_key", "SSHKEY", "private key"),
        _plain("key_type", label="key type"),
    ),
    "SERVER": (_NOTES, _plain("url", label="URL"), _plain("username"), _plain("password", "CONCEALED")),
    "CUSTOM": (),
}
"""Built-in fields (ids and types seen; some labels inferred). A category not named here has notes only."""


def built_in(category: str) -> tuple[Field, ...]:
    """The fields an item of `category` always has, without values."""
    return BUILT_IN.get(category, (_NOTES,))


def takes(category: str, purpose: str) -> bool:
    """Whether a field of `category` may have `purpose`."""
    return purpose in PURPOSES.get(category, frozenset({"NOTES"}))
