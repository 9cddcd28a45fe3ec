"""The errors of shaping a Secret: why its keys cannot be made, in words that are safe to publish.

The text names keys, lines, references, labels and filters, never a value.

```
ShapeError
├── InvalidTemplate        the spec itself is wrong: grammar, an unknown filter or alias, a cycle, a limit; found without a vault
├── FieldNotFound          a reference fits no field, or one without a value
├── FieldAmbiguous         a reference fits several fields of one item
├── ValueInvalid           a filter or a text refuses the bytes that it gets
├── KeyConflict            two items give the same key
├── TemplateTooExpensive   filters would process more bytes than one object may
└── ShapeTooLarge          the Secret would be larger than the API server accepts
```
"""

from __future__ import annotations


class ShapeError(Exception):
    """The root of all reasons why a Secret cannot be shaped; `str()` of it is safe to publish."""


class InvalidTemplate(ShapeError):
    """The spec is wrong whatever the vault answers."""


class FieldNotFound(ShapeError):
    """A field that `keys` or `templates` require does not exist, or has no value."""


class FieldAmbiguous(ShapeError):
    """Several fields fit a reference, and nothing says which one is meant."""


class ValueInvalid(ShapeError):
    """A value is not what a filter, or a text, can take."""


class KeyConflict(ShapeError):
    """Fields of two items, both selected by `include`, become the same key."""


class TemplateTooExpensive(ShapeError):
    """The filters of one object would process more bytes than is allowed."""


class ShapeTooLarge(ShapeError):
    """The data, or one text, would be larger than a Secret may be."""
