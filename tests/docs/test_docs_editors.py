"""The JSON Schemas for editors: they take what the API server takes, and mark what it refuses."""

import json
import re
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import yaml

import schemas
from support.pages import shown_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "editors.md").read_text()
FOLDER = ROOT / "docs" / "schemas"
OURS = {"AccessGrant", "Connection", "KeyturnSecret", "OnePasswordItem"}


def _shown():
    """All objects of our kinds on pages and among the examples, by where they are."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.yaml")]
    for page in sorted(pages):
        blocks = shown_yaml(page) if page.suffix == ".md" else [yaml.safe_load_all(page.read_text())]
        for number, documents in enumerate(blocks, start=1):
            for document in documents:
                if isinstance(document, dict) and document.get("kind") in OURS:
                    yield f"{page.name}-{number}", document


SHOWN = dict(_shown())
DATABASE = SHOWN["keyturnsecret.yaml-1"]


def errors_of(document):
    """What an editor marks, by path."""
    version = document["apiVersion"].split("/")[1]
    schema = json.loads((FOLDER / f"{document['kind'].lower()}_{version}.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return {error.json_path: error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)}


@pytest.mark.parametrize("where", SHOWN)
def test_what_pages_and_examples_show_has_no_mistake(where):
    """An editor that marks a right manifest is soon switched off."""
    assert errors_of(SHOWN[where]) == {}


def test_examples_and_pages_are_found():
    """A pattern that finds nothing would pass everything."""
    assert {"secrets.md-1", "keyturnsecret.yaml-1", "database.yaml-1"} <= SHOWN.keys()


@pytest.mark.parametrize(
    ("path", "value", "marked"),
    [
        (("spec", "itemPath"), "Production/database", "$.spec.itemPath"),
        (("spec", "items"), {"smtp": "database"}, "$.spec.items.smtp"),
        (("spec", "items"), {"SMTP": "vaults/a/items/b"}, "$.spec.items"),
        (("spec", "template"), {}, "$.spec"),
        (("spec", "keys"), {"a b": "password"}, "$.spec.keys"),
        (("spec", "keys"), {"PORT": 5432}, "$.spec.keys.PORT"),
        (("spec", "autoRestart"), "true", "$.spec.autoRestart"),
        (("spec", "previous"), {"for": "one day", "keys": {"A": "DB_USER"}}, "$.spec.previous.for"),
        (("spec", "secret"), {"labels": {"a b": "c"}}, "$.spec.secret.labels"),
        (("kind",), "Keyturnsecret", "$.kind"),
        (("data",), {}, "$"),
    ],
)
def test_a_mistake_is_marked_where_it_is(path, value, marked):
    """As `kubectl apply` would refuse it."""
    document = deepcopy(DATABASE)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    schema = json.loads((FOLDER / "keyturnsecret_v1alpha1.json").read_text())
    found = {error.json_path for error in jsonschema.Draft7Validator(schema).iter_errors(document)}
    assert found == {marked}


def test_a_status_has_no_mistake_either():
    """Editors also show objects as they come from a cluster."""
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"observedGeneration": 1, "conditions": [condition], "keys": [{"name": "A", "from": ["password"]}]}

    assert errors_of({**DATABASE, "status": status}) == {}


def test_the_page_names_the_files():
    """In the table, in the settings of VS Code, and by the pattern of kubeconform."""
    [settings] = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [pattern] = re.findall(r"-schema-location 'schemas/(\S+)'", PAGE)
    names = {
        pattern.replace("{{.ResourceKind}}", kind.lower()).replace("{{.ResourceAPIVersion}}", version)
        for kind, version in (*((kind, "v1alpha1") for kind in OURS - {"OnePasswordItem"}), ("OnePasswordItem", "v1"))
    }

    assert schemas.schemas().keys() == names
    assert set(re.findall(r"\]\(schemas/(\S+)\)", PAGE)) == names
    assert {Path(name).name for name in json.loads(settings)["yaml.schemas"]} == names
