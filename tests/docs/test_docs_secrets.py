"""The page on KeyturnSecrets: each of its examples makes what it shows, and each row of its tables is true and has a test."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from operator_fixtures import annotations_of

from connect_emulator.clock import Clock
from connect_emulator.server import ConnectEmulator
from keyturn.cluster.resources import KEYTURN_SECRETS
from keyturn.core import shape_errors
from keyturn.core.content import DEFAULT_MAPPING
from keyturn.core.failures import failure_of
from keyturn.core.filters import FILTERS
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.previous import keep_previous
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import ShapeError
from keyturn.core.vault import Field, FieldKind, Item, ItemRef, Url
from support.key_material import MAKERS, certificate_pem, chain, private_pem
from support.pages import existing_tests, shown_commands

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "secrets.md").read_text()
CRD = yaml.safe_load((ROOT / "crds" / "keyturnsecrets.yaml").read_text())
SPEC = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

_CHAPTERS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
_SECTIONS = re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", _CHAPTERS["Ten tasks"], re.MULTILINE | re.DOTALL)
# The items, the object and the Secret of each task.
TASKS = {head: re.findall(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for head, text in _SECTIONS}
# What a key of a task held before.
OLD = {"session": {"SESSION_KEY": b"monday"}}

# Which test shows each field of `spec`, each rule at the edges and each filter.
FIELD_TESTS = {
    "itemPath": "test_operator_keyturnsecret.py::test_a_plain_one_makes_the_secret_of_a_onepassworditem",
    "items": "test_operator_shape.py::test_a_secret_is_made_of_several_items",
    "keys": "test_core_shape.py::test_a_spec_selects_keys",
    "templates": "test_core_holes.py::test_a_template_is_text_with_holes",
    "include": "test_core_shape.py::test_patterns_select_fields_urls_and_files",
    "exclude": "test_core_shape.py::test_patterns_select_fields_urls_and_files",
    "secret.type": "test_operator_keyturnsecret.py::test_what_the_spec_says_of_the_secret_is_on_it",
    "secret.labels": "test_operator_keyturnsecret.py::test_what_the_spec_says_of_the_secret_is_on_it",
    "secret.annotations": "test_operator_keyturnsecret.py::test_what_the_spec_says_of_the_secret_is_on_it",
    "autoRestart": "test_operator_keyturnsecret.py::test_the_switch_in_the_spec_decides_about_restarts",
    "previous.for": "test_operator_shape.py::test_a_previous_value_stays_for_its_time_and_goes_without_a_restart",
    "previous.keys": "test_operator_shape.py::test_a_previous_value_stays_for_its_time_and_goes_without_a_restart",
    "connectionRef": "test_operator_serving.py::test_no_connection_serves_another_team_without_its_consent",
    "suspend": "test_operator_shape.py::test_a_suspended_secret_is_left_alone_until_that_ends",
}
EDGE_TESTS = {
    "All or nothing": ["test_operator_shape.py::test_a_field_that_is_gone_keeps_the_secret_whole"],
    "What you name is required": [
        "test_core_references.py::test_a_missing_field_is_named_with_the_nearest_label",
        "test_core_shape.py::test_included_values_follow_the_options",
    ],
    "Several fields with one label": [
        "test_core_references.py::test_a_reference_means_one_field",
        "test_core_references.py::test_a_reference_to_several_fields_is_ambiguous",
    ],
    "Illegal keys": [
        "test_keyturnsecret_crd.py::test_what_could_never_become_a_secret_is_refused_at_the_door",
        "test_core_shape.py::test_what_include_cannot_use_is_reported_as_ever",
    ],
    "The same key twice": [
        "test_core_shape.py::test_an_explicit_key_comes_before_an_included_one",
        "test_core_shape.py::test_two_items_must_not_give_the_same_key",
        "test_keyturnsecret_crd.py::test_what_could_never_become_a_secret_is_refused_at_the_door",
    ],
    "Bytes": ["test_core_shape.py::test_files_pass_untouched_and_only_as_text_into_text"],
    "Size": [
        "test_core_shape.py::test_a_secret_has_a_size",
        "test_core_shape.py::test_nothing_larger_than_a_secret_is_made",
        "test_core_shape.py::test_filters_process_only_so_many_bytes_for_one_object",
    ],
    "A filter that refuses its value": ["test_core_filters.py::test_a_filter_refuses_a_value"],
    "Mistakes in `spec`": [
        "test_operator_shape.py::test_a_fault_of_the_spec_is_found_without_a_vault",
        "test_core_shape.py::test_a_wrong_spec_is_found_without_a_vault",
    ],
    "Files": ["test_core_shape.py::test_only_files_that_may_be_needed_are_fetched"],
    "Several items": [
        "test_operator_shape.py::test_a_missing_further_item_is_named_by_its_alias",
        "test_sync_finding.py::test_a_further_item_that_is_not_found_ends_the_pass_under_its_alias",
    ],
    "Reserved labels": ["test_core_shape.py::test_patterns_select_fields_urls_and_files"],
    "A new shape": ["test_operator_shape.py::test_a_change_of_the_spec_restarts_who_uses_a_key_that_changed"],
}
_OF_TEXT = "test_core_filters.py::test_a_filter_makes_of_a_value"
_OF_MANY = "test_core_filters.py::test_many_fields_become_one_text"
FILTER_TESTS = {
    **dict.fromkeys(["default", "trim", "upper", "lower", "replace", "indent", "json", "urlencode", "shell"], _OF_TEXT),
    **dict.fromkeys(["b64encode", "b64decode", "hexencode", "basicauth", "sha256"], _OF_TEXT),
    **dict.fromkeys(["dotenv", "properties"], _OF_MANY),
    "pem": "test_core_pem.py::test_blocks_are_chosen_by_kind_in_their_order",
    "openssh": "test_core_key_formats.py::test_a_key_is_the_same_key_in_openssh_format",
    "pkcs8": "test_core_key_formats.py::test_a_key_is_the_same_bytes_as_pkcs8",
    "pkcs12": "test_core_key_stores.py::test_a_key_store_holds_the_key_its_certificate_and_the_rest",
    "truststore": "test_core_key_stores.py::test_a_trust_store_holds_the_certificates",
    "bcrypt": "test_core_password_hashes.py::test_a_hash_fits_its_password_and_no_other",
    "htpasswd": "test_core_password_hashes.py::test_a_line_names_its_user",
}


class Items:
    """The items that a block of the page describes, with what is too long for a page.

    Args:
        block: one line for each item and for each of its parts.
    """

    def __init__(self, block):
        key = MAKERS["p256"]()
        certificates = chain(key)
        self._material = {
            "private key": private_pem(key).decode(),
            "certificate": certificate_pem(certificates).decode(),
            "authorities": certificate_pem(certificates[1:]).decode(),
        }
        self.files = {}
        self.by_path = {}
        for path, lines in re.findall(r"^(\S.*)\n((?:  .*\n)*)", block, re.MULTILINE):
            parts = [self._part(line) for line in lines.splitlines()]
            urls = tuple(each for each in parts if isinstance(each, Url))
            fields = tuple(each for each in parts if isinstance(each, Field))
            self.by_path[path] = Item(ItemRef(id="i", scope="v", title="", revision="1", urls=urls), fields)

    def _part(self, line):
        kind, label, content, *section = re.split(r" {2,}", line.strip())
        place = section[0].removeprefix("section=") if section else None
        content = content.replace("\\n", "\n")
        if content.endswith("..."):
            content = self._material[label]
        field_id = f"{place}-{label}"
        match kind:
            case "url":
                return Url(content, label)
            case "file":
                self.files[field_id] = content.encode()
                return Field(id=field_id, label=label, kind=FieldKind.FILE, size=len(content), section=place)
        return Field(id=field_id, label=label, value=content, section=place)

    def shaped(self, spec, old=None):
        """The data that a spec makes of the items."""
        shape = Shape.read(spec)
        items = {"": self.by_path[spec["itemPath"]], **{alias: self.by_path[path] for alias, path in shape.items}}
        plan = plan_shape(shape)
        files = {(alias, file.id): self.files[file.id] for alias, file in plan.files(items, DEFAULT_MAPPING)}
        data = dict(plan.render(items, files, DEFAULT_MAPPING, old or {}).data)
        if shape.previous is not None:
            kept = keep_previous(
                shape.previous, old=old, trusted=old, annotation="", new=data, now=datetime(2026, 1, 1, tzinfo=UTC)
            )
            data |= kept.data
        return data


def table(mark):
    r"""The rows of the table behind a mark, without its head; a bar in a cell is written `\\|`."""
    [lines] = re.findall(rf"^<!-- {mark} -->\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines.splitlines()[2:]
    ]


def code(cell):
    """What stands in a cell as code."""
    return cell.removeprefix("`").removesuffix("`")


def fits(shown, made):
    """Whether bytes are as shown, with anything for dots."""
    pattern = ".*".join(map(re.escape, shown.split("...")))
    return re.fullmatch(pattern, made.decode(errors="surrogateescape"), re.DOTALL) is not None


def items_of_tables():
    [block] = re.findall(
        r"^<!-- the items of the tables below -->\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    material = "  field  private key  -----BEGIN...\n  field  certificate  -----BEGIN...\n"
    main, further = re.split(r"^(?=vaults/Production/items/SMTP)", block, flags=re.MULTILINE)
    return Items(main + material + further)


BASE = {"itemPath": "vaults/Production/items/web", "items": {"smtp": "vaults/Production/items/SMTP relay"}}


def test_there_are_ten_tasks():
    """A pattern that finds nothing would let every task pass."""
    assert [len(blocks) for blocks in TASKS.values()] == [3] * 10


@pytest.mark.parametrize("task", TASKS)
def test_each_task_makes_the_secret_that_it_shows(task):
    """People copy them. That the API server takes object and Secret is shown for all pages in test_docs_manifests.py."""
    block, *manifests = TASKS[task]
    wanted, secret = map(yaml.safe_load, manifests)
    name = wanted["metadata"]["name"]
    wanted["metadata"] |= {"namespace": "default", "uid": "u", "generation": 1}
    request = request_from_keyturn_secret(wanted)

    made = Items(block).shaped(wanted["spec"], OLD.get(name, {}))

    assert made.keys() == secret["stringData"].keys()
    assert [key for key, shown in secret["stringData"].items() if not fits(shown, made[key])] == []
    assert (request.secret_type, dict(request.labels)) == (secret["type"], secret["metadata"].get("labels", {}))
    assert secret["metadata"]["name"] == name


@pytest.mark.parametrize(("reference", "_means", "value"), table("references"))
def test_each_reference_means_what_the_page_says(reference, _means, value):
    """Each row, of the items above the table."""
    spec = {**BASE, "keys": {"k": code(reference)}}

    assert items_of_tables().shaped(spec)["k"].decode() == code(value).replace("\\n", "\n")


@pytest.mark.parametrize(("_filter", "_does", "example", "gives"), table("filters"))
def test_each_filter_gives_what_the_page_says(_filter, _does, example, gives):
    """Each row, of the items above the tables."""
    spec = {**BASE, "keys": {"k": code(example)}}

    assert fits(code(gives).replace("\\n", "\n"), items_of_tables().shaped(spec)["k"])


def test_every_filter_is_on_the_page_and_has_a_test():
    """A filter that nobody can find is of no use, and one without a test may be wrong."""
    listed = [re.split(r"\W", code(name))[0] for name, *_ in table("filters")]

    assert set(listed) == FILTERS.keys() == FILTER_TESTS.keys()
    assert set(FILTER_TESTS.values()) - existing_tests() == set()


def test_every_field_is_on_the_page_and_has_a_test():
    """The definition of the kind says which fields there are."""
    fields = [
        *(name for name in SPEC["properties"] if name not in {"secret", "previous"}),
        *(f"{name}.{part}" for name in ("secret", "previous") for part in SPEC["properties"][name]["properties"]),
    ]

    assert {code(name) for name, *_ in table("fields")} == set(fields) == FIELD_TESTS.keys()
    assert set(FIELD_TESTS.values()) - existing_tests() == set()


def test_every_rule_at_the_edges_has_a_test():
    """Each row of the table, and none that the table lacks."""
    assert [rule for rule, _ in table("edges")] == list(EDGE_TESTS)
    assert {test for tests in EDGE_TESTS.values() for test in tests} - existing_tests() == set()


@pytest.mark.parametrize(("reason", "example", "message", "_mend"), table("errors"))
def test_each_error_says_what_the_page_says(reason, example, message, _mend):
    """Someone who has a message in front of them searches for it."""
    items = items_of_tables()
    main = items.by_path[BASE["itemPath"]]
    large = [Field(id=f"f{n}", label=f"f{n}", kind=FieldKind.FILE, size=900_000) for n in range(20)]
    huge = Field(id="huge", label="huge", kind=FieldKind.FILE, size=2 * 1024 * 1024)
    items.files |= {file.id: b"a" * 900_000 for file in large} | {huge.id: b"a"}
    items.by_path[BASE["itemPath"]] = Item(main.ref, (*main.fields, *large, huge))
    described = {
        "many filters on large files": {"keys": {f"k{n}": f"f{n} | sha256" for n in range(20)}},
        "a file of 2 MiB": {"keys": {"K": "huge"}},
    }
    spec = described.get(example) or yaml.safe_load(code(example))

    with pytest.raises(ShapeError) as raised:
        items.shaped({**BASE, **spec})

    failure = failure_of(raised.value)
    assert failure.reason == code(reason)
    assert fits(message, re.sub(r"^key \"k\d+\", line 1: ", "", failure.message).encode()), failure.message


@pytest.mark.cluster
@pytest.mark.parametrize(("example", "message", "_mend"), table("refused"))
async def test_kubectl_refuses_what_the_page_says(api_server, crds, namespace, example, message, _mend):
    """Its words for a mistake in YAML are those of a library, and nobody guesses what they mean."""
    head = "apiVersion: keyturn.dev/v1alpha1\nkind: KeyturnSecret\nmetadata: {name: web}\n"
    manifest = f"{head}spec: {{itemPath: {BASE['itemPath']}, {code(example)}}}\n"
    apply = ("apply", "--dry-run=server", f"--namespace={namespace}", "-f", "-")

    refused = await asyncio.to_thread(api_server.kubectl, *apply, input=manifest, check=False)

    assert refused.returncode != 0
    assert fits(f"...{message}...", refused.stderr.encode()), refused.stderr


def test_every_error_of_a_shape_is_on_the_page():
    """Each class of the tree has its row."""
    classes = [each for each in vars(shape_errors).values() if isinstance(each, type) and each is not ShapeError]
    reasons = {failure_of(each("")).reason for each in classes if issubclass(each, ShapeError)}

    assert {code(reason) for reason, *_ in table("errors")} == reasons


async def test_the_item_of_the_first_task_can_be_added_to_a_trial(tmp_path):
    """The first task is the first one that a reader tries, and a trial has another item."""
    [(url, form)] = re.findall(r"^curl -X POST http://127\.0\.0\.1:8081(\S+) -d '(.*)'$", PAGE, re.MULTILINE)
    values = yaml.safe_load((ROOT / "helm" / "keyturn" / "values.yaml").read_text())
    description = tmp_path / "emulator.yaml"
    description.write_text(yaml.safe_dump({"vaults": values["emulator"]["vaults"]}))

    async with (
        ConnectEmulator.start(description, seed=0, clock=Clock.manual(1.8e9)) as emulator,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{emulator.admin_url}{url}", content=form)
        assert answer.status_code in {200, 201}, answer.text

    block, *_ = next(iter(TASKS.values()))
    [(path, item)] = Items(block).by_path.items()
    added = yaml.safe_load(form)
    assert path == f"{url.removeprefix('/')}/{added['title']}"
    assert {field["label"]: field["value"] for field in added["fields"]} == {
        field.label: field.value for field in item.fields
    }


@pytest.mark.cluster
async def test_the_commands_of_the_page_move_a_secret(stage, api_server):
    """Whoever types them has the same Secret at each step, then with the keys of the example."""
    stage.operator()
    await stage.provide("database", {"username": "app", "password": "p@ss word"})
    before = await stage.secret("database")

    for block in shown_commands(ROOT / "docs" / "secrets.md"):
        for line in block.splitlines():
            if line.startswith("curl"):
                continue  # the test above runs it
            program, *typed = line.replace("examples/", f"{ROOT}/examples/").split()
            assert program == "kubectl"
            arguments = [*typed, f"--namespace={stage.namespace}"]
            await asyncio.to_thread(api_server.kubectl, *arguments)

    shaped = await stage.ready("database", kind=KEYTURN_SECRETS)
    after = await stage.holds(
        "database",
        {
            "DB_USER": "app",
            "DB_PASSWORD": "p@ss word",
            "DATABASE_URL": "postgres://app:p%40ss%20word@db.example.com:5432/app",
        },
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert annotations_of(after)["operator.1password.io/auto-restart"] == "true"
    assert shaped["status"]["keys"] == [
        {"name": "DATABASE_URL", "from": ["password", "username"]},
        {"name": "DB_PASSWORD", "from": ["password"]},
        {"name": "DB_USER", "from": ["username"]},
    ]
