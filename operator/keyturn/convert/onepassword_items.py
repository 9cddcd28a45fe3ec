"""Rewrites a OnePasswordItem as a KeyturnSecret, which makes the same Secret byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn.convert import fields
from keyturn.convert.errors import NotConvertible
from keyturn.convert.outputs import Converted, kept_metadata, keyturn_secret
from keyturn.core.paths import BadPath, parse_item_path


def convert_onepassword_item(manifest: Mapping[str, Any]) -> Converted:
    """The KeyturnSecret of the same item.

    Raises:
        NotConvertible: the object has no path of an item, or more fields than its definition has.
    """
    metadata = fields.mapping(manifest, "metadata", "")
    spec = fields.mapping(manifest, "spec", "")
    fields.only(spec, "spec", ("itemPath",))
    path = fields.text(spec, "itemPath", "spec")
    try:
        parse_item_path(path)
    except BadPath as error:
        raise NotConvertible("spec.itemPath", str(error)) from None
    secret_type = fields.text(manifest, "type", "", "") if manifest.get("type") else ""
    return keyturn_secret(
        metadata=kept_metadata(metadata, fields.text(metadata, "name", "metadata")),
        spec={"itemPath": path} | ({"secret": {"type": secret_type}} if secret_type else {}),
    )
