"""The output reads like the examples of the documentation, and says exactly what was converted."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.outputs import UNKNOWN_VAULT
from keyturn.convert.writing import write_anything, write_manifest

MANIFEST = {
    "apiVersion": "keyturn.dev/v1alpha1",
    "kind": "KeyturnSecret",
    "metadata": {"name": "web", "labels": {"on": "true"}},
    "spec": {
        "itemPath": "vaults//items/web: database",
        "items": {"smtp": "vaults//items/SMTP"},
        "keys": {"DB_PASSWORD": "password"},
        "templates": {
            "URL": "postgres://{{ username }}@db",
            "JSON": '{"a": {{ password | json }}}',
            "application.yaml": "spring:\n\n  a: {{ password | json }}\n",
            "bare": "a\nb",
            "empty": "",
            "number": "5432",
        },
        "include": ["*", "smtp/*"],
        "autoRestart": True,
    },
}

WRITTEN = """\
apiVersion: keyturn.dev/v1alpha1
kind: KeyturnSecret
metadata:
  name: web
  labels:
    'on': 'true'
spec:
  itemPath: 'vaults//items/web: database'  # TODO vault
  items:
    smtp: vaults//items/SMTP  # TODO vault
  keys:
    DB_PASSWORD: password
  templates:
    URL: postgres://{{ username }}@db
    JSON: '{"a": {{ password | json }}}'
    application.yaml: |
      spring:

        a: {{ password | json }}
    bare: |-
      a
      b
    empty: ''
    number: '5432'
  include:
    - '*'
    - smtp/*
  autoRestart: true
"""


def test_a_manifest_is_written_for_people():
    """Block style, the order of the specification, and a mark where the vault is missing."""
    assert write_manifest(MANIFEST) == WRITTEN
    assert yaml.safe_load(WRITTEN) == MANIFEST


def test_a_text_that_begins_like_a_path_without_a_vault_gets_no_mark():
    """In a text of several lines the mark would be a part of the Secret's value."""
    texts = {"one": "vaults//items/a", "several": "vaults//items/a\nb"}

    written = write_manifest({"spec": {"itemPath": "vaults/V/items/a", "templates": texts}})

    assert "TODO" not in written
    assert yaml.safe_load(written)["spec"]["templates"] == texts


NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
TEXTS = st.one_of(st.text(max_size=30), st.text(max_size=30).map(UNKNOWN_VAULT.__add__))
NAMED = st.one_of(NAMES, st.sampled_from(["itemPath", "items"]))


@given(st.dictionaries(NAMED, st.one_of(TEXTS, st.dictionaries(NAMES, TEXTS, max_size=3)), max_size=3))
def test_what_is_written_reads_as_it_was(mapping):
    """Also white space, control characters and letters of any alphabet."""
    assert yaml.safe_load(write_manifest({"spec": mapping})) == {"spec": mapping}


def test_an_object_of_another_kind_is_written_whole():
    """With its references, so that a small file stays small."""
    shared = {"a": ["b", 1, None, True]}
    written = write_anything({"kind": "A", "x": shared, "y": shared})
    assert yaml.safe_load(written) == {"kind": "A", "x": shared, "y": shared}
    assert "&" in written
