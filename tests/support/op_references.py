"""Secret references, and what each of them names: one table for the broker's reader and for the client's, which shares no code with it.

It is plain data, so that any Python from 3.9 on can read it. `op` itself could not be tried: the forms are those of 1Password's page about
the syntax of secret references. What `op` refuses but cannot be meant otherwise, as a name with an umlaut, is read here.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Named(NamedTuple):
    """What a reference names.

    Attributes:
        vault: title or id.
        item: title or id.
        section: label or id; None if the reference names none.
        field: label or id of a field, or the name of a file.
        attribute: `otp`, or empty for the value.
        connection: `namespace/name`, or `installation` for the broker's own, or empty for any.
    """

    vault: str
    item: str
    section: str | None
    field: str
    attribute: str = ""
    connection: str = ""


_ID = "hfnjvi6aymbsnfc2xeeoheizda"

GOOD: Final[dict[str, Named]] = {
    "op://Production/database/password": Named("Production", "database", None, "password"),
    "op://Production/database/admin/password": Named("Production", "database", "admin", "password"),
    f"op://{_ID}/{_ID}/{_ID}": Named(_ID, _ID, None, _ID),
    # Upper and lower case are the vault's business, but for the fixed words.
    "OP://production/DataBase/PassWord": Named("production", "DataBase", None, "PassWord"),
    "Op://v/i/f?Attribute=OTP": Named("v", "i", None, "f", "otp"),
    # The characters that `op` allows.
    "op://my vault/my item/my section/my field": Named("my vault", "my item", "my section", "my field"),
    "op://a-b_c.d/1.2/-/_": Named("a-b_c.d", "1.2", "-", "_"),
    "op://v/i/tls.crt": Named("v", "i", None, "tls.crt"),
    # Spaces belong to the name, wherever they are.
    "op:// v / i / f ": Named(" v ", " i ", None, " f "),
    # The characters that it does not.
    "op://Büro/Schlüssel/Größe": Named("Büro", "Schlüssel", None, "Größe"),
    "op://v/ada@example.com/one:two": Named("v", "ada@example.com", None, "one:two"),
    "op://v/i/a+b&c=d#e": Named("v", "i", None, "a+b&c=d#e"),
    'op://v/"i"/f': Named("v", '"i"', None, "f"),
    "op://v/🔑/f": Named("v", "🔑", None, "f"),
    "op://./../...": Named(".", "..", None, "..."),
    # Percent-encoding, once: the only way to write a slash or a question mark in a name.
    "op://v/my%20item/f": Named("v", "my item", None, "f"),
    "op://v/a%2Fb/c%2fd": Named("v", "a/b", None, "c/d"),
    "op://v/i/why%3F": Named("v", "i", None, "why?"),
    "op://v/i/100%25": Named("v", "i", None, "100%"),
    "op://v/i/a%252Fb": Named("v", "i", None, "a%2Fb"),
    "op://v/B%C3%BCro/f": Named("v", "Büro", None, "f"),
    # Parameters.
    "op://v/i/one-time password?attribute=otp": Named("v", "i", None, "one-time password", "otp"),
    "op://v/i/f?attr=otp": Named("v", "i", None, "f", "otp"),
    "op://v/i/f?attribute=value": Named("v", "i", None, "f"),
    "op://v/i/s/tls.crt?attribute=content": Named("v", "i", "s", "tls.crt"),
    "op://v/i/f?": Named("v", "i", None, "f"),
    "op://v/i/f?connection=team-a/work": Named("v", "i", None, "f", "", "team-a/work"),
    "op://v/i/f?connection=team-a%2Fwork": Named("v", "i", None, "f", "", "team-a/work"),
    "op://v/i/f?connection=installation": Named("v", "i", None, "f", "", "installation"),
    "op://v/i/s/f?attribute=otp&connection=team-a/work": Named("v", "i", "s", "f", "otp", "team-a/work"),
    "op://v/i/s/f?connection=team-a/work&attribute=otp": Named("v", "i", "s", "f", "otp", "team-a/work"),
}
"""References, and what they name."""

BAD: Final[list[tuple[str, str]]] = [
    ("", "op://"),
    ("password", "op://"),
    ("vaults/v/items/i", "op://"),
    ("https://v/i/f", "op://"),
    ("op:/v/i/f", "op://"),
    (" op://v/i/f", "op://"),
    ('"op://v/i/f"', "op://"),
    ("op://", "vault"),
    ("op://v", "vault"),
    ("op://v/i", "vault"),
    ("op://v/i?attribute=otp", "vault"),
    ("op://v/i/s/f/g", "too many parts"),
    ("op://v/i/s/f/", "too many parts"),
    ("op:///i/f", "empty"),
    ("op://v//f", "empty"),
    ("op://v/i/", "empty"),
    ("op://v/i//f", "empty"),
    ("op://v/i/s/", "empty"),
    ("op://v/i/%", "percent"),
    ("op://v/i/%2", "percent"),
    ("op://v/i/%zz", "percent"),
    ("op://v/i/%C3", "percent"),
    ("op://v/i/%ff%fe", "percent"),
    ("op://v/i/%ED%A0%80", "percent"),
    ("op://v/i/f\n", "control character"),
    ("op://v/i/\x00", "control character"),
    ("op://v/i%00/f", "control character"),
    ("op://v/i/f%0d%0aX: y", "control character"),
    ("op://v/i/\x7f", "control character"),
    ("op://v/i/f\ud800", "control character"),
    ("op://v/i/f?attribute=", "attribute"),
    ("op://v/i/f?attribute=totp", "attribute"),
    ("op://v/i/f?attribute=otp&attr=otp", "twice"),
    ("op://v/i/f?connection=", "connection"),
    ("op://v/i/f?connection=work", "connection"),
    ("op://v/i/f?connection=a/b/c", "connection"),
    ("op://v/i/f?connection=/work", "connection"),
    ("op://v/i/f?connection=a/b&connection=a/b", "twice"),
    ("op://v/i/f?version=1", "version"),
    ("op://v/i/f?ssh-format=openssh", "ssh-format"),
    ("op://v/i/f?otp", "otp"),
    ("op://v/i/f?a?b", "a?b"),
    ("op://v/i/f?attribute=otp&", "empty"),
    ("op://v/i/" + "f" * 4096, "too long"),
]
"""Texts that are no reference, each with a part of the message that says why."""
