"""The filters `bcrypt` and `htpasswd`: what a server needs to check a password, and not the password."""

from __future__ import annotations

import re

from keyturn.core.crypto_extra import needs_extra
from keyturn.core.shape_errors import ValueInvalid

# 59 ms for one hash, and for one check.
_COST = 10
# Only what has our own cost is checked: somebody who may write the Secret could leave a hash there whose check takes a day.
_HASH = re.compile(rb"\$2b\$10\$[./A-Za-z0-9]{53}")
_MOST_BYTES = 72


def bcrypt(value: bytes) -> bytes:
    """A hash of a password, another one at each call.

    Raises:
        ValueInvalid: bcrypt would ignore a part of the password.
        InvalidTemplate: the extra `crypto` is missing.
    """
    with needs_extra():
        from bcrypt import gensalt, hashpw

    return hashpw(_whole(value), gensalt(_COST))


def bcrypt_holds(old: bytes, value: bytes) -> bool:
    """Whether bytes that were made before are a hash of this password.

    Raises:
        ValueInvalid: `bcrypt` refuses the value.
        InvalidTemplate: the extra `crypto` is missing.
    """
    with needs_extra():
        from bcrypt import checkpw

    password = _whole(value)
    if _HASH.fullmatch(old) is None:
        return False
    try:
        return checkpw(password, old)
    except ValueError:
        # Not every text of this form is a hash.
        return False


def htpasswd(value: bytes, user: bytes) -> bytes:
    """The line of a user and a password for a web server's file of users, another one at each call.

    Raises:
        ValueInvalid: the user's name would break the line, or bcrypt would ignore a part of the password.
        InvalidTemplate: the extra `crypto` is missing.
    """
    # Web servers know this algorithm by the prefix that Apache's own program writes.
    return _name(user) + b":" + bcrypt(value).replace(b"$2b$", b"$2y$", 1)


def htpasswd_holds(old: bytes, value: bytes, user: bytes) -> bool:
    """Whether bytes that were made before are the line of this user and this password.

    Raises:
        ValueInvalid: `htpasswd` refuses the value or the user.
        InvalidTemplate: the extra `crypto` is missing.
    """
    start = _name(user) + b":$2y$"
    return bcrypt_holds(old.replace(start, b"$2b$", 1) if old.startswith(start) else b"", value)


def _whole(password: bytes) -> bytes:
    if len(password) > _MOST_BYTES:
        raise ValueInvalid(f"the password is longer than {_MOST_BYTES} bytes, and bcrypt would ignore the rest")
    if b"\0" in password:
        raise ValueInvalid("the password has a zero byte, and many programs would ignore what follows it")
    return password


def _name(user: bytes) -> bytes:
    if not user or re.search(rb"[:\x00-\x1f\x7f]", user):
        raise ValueInvalid("the user's name is empty, or has a colon, a line break or a control character")
    return user
