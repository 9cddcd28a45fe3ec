"""The errors of the converter: what it cannot read, and what a KeyturnSecret cannot say.

A message is one line and names fields, keys and functions of the input, never a value.

```
ConvertError
├── BadUsage          a mistake in the command line
├── BadInput          a file or a document that is no Kubernetes object in YAML
└── NotConvertible    an object that is understood, but has no equal as a KeyturnSecret
```
"""

from __future__ import annotations

from keyturn.base.text import one_line, shorten


class ConvertError(Exception):
    """The root of all errors of the converter; `str()` of it is safe to print."""


class BadUsage(ConvertError):
    """The command line is wrong."""


class BadInput(ConvertError):
    """The input cannot be read as Kubernetes objects."""


class NotConvertible(ConvertError):
    """A construct has no equal in a KeyturnSecret, so its object is left out.

    Args:
        where: the field, as `spec.target.template.data[KEY]`.
        why: what stands there, and perhaps what to do; it may quote names of the input, never its values.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")


def named(name: object) -> str:
    """A name of the input as messages quote it: on one line, and not too long."""
    return f"`{shorten(one_line(str(name)), 80)}`"
