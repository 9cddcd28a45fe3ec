"""Canaries go through every success and failure of a KeyturnSecret, and are found in Secrets alone."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from canary_fixtures import Search, answer_badly
from cryptography.hazmat.primitives.serialization import PrivateFormat
from operator_fixtures import VAULT, Stage, encoded

from keyturn.cluster.resources import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS
from support.canaries import CANARY, PLAIN_CANARY
from support.key_material import MAKERS, certificate_pem, chain, private_pem
from support.operator import OperatorProcess, eventually

pytestmark = pytest.mark.cluster

KEY, OTHER = MAKERS["p256"](), MAKERS["ed25519"]()
BUNDLE = certificate_pem(chain(KEY)).decode()
MAIN = {
    "password": CANARY,
    "user": PLAIN_CANARY,
    "key": private_pem(KEY).decode(),
    "ssh": private_pem(OTHER, PrivateFormat.OpenSSH).decode(),
    "locked": private_pem(KEY, passphrase=CANARY).decode(),
    "cut": private_pem(KEY).decode()[:-40],
    "broken": f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(CANARY.encode() * 4).decode()}\n-----END PRIVATE KEY-----\n",
    "odd": f"-----BEGIN {CANARY} PRIVATE KEY-----\n{CANARY}\n-----END {CANARY} PRIVATE KEY-----\n",
    "cert": BUNDLE,
    "encoded": base64.b64encode(CANARY.encode()).decode(),
    "colon": f"{PLAIN_CANARY}:{CANARY}",
    "long": CANARY * 5,
    "lines": f"{CANARY}\n{CANARY}\r\n\u2028{CANARY}",
    "odd-name": CANARY,
    "empty": "",
    "keyturn hidden": CANARY,
}
FILES = [
    {"name": "binary", "base64": base64.b64encode(b"\xff\x00\xfe" + CANARY.encode()).decode()},
    {"name": "ca.pem", "content": BUNDLE},
    {"name": "big", "content": CANARY * 40_000},
]
SMTP = {"items": {"smtp": f"vaults/{VAULT}/items/smtp"}}

GOOD: dict[str, Any] = {
    **SMTP,
    "keys": {
        "PASSWORD": "password",
        "SMTP": "smtp/password",
        "BINARY": "binary",
        "CA": "ca.pem",
        "OPENSSH": "key | openssh",
        "SAME": "ssh | openssh",
        "PKCS8": "ssh | pkcs8",
        "PKCS12": "key | pkcs12(cert, user)",
        "TRUST": "ca.pem | truststore(user)",
        "BCRYPT": "password | bcrypt",
        "HTPASSWD": "password | htpasswd(user)",
        "PEM": 'cert | pem("CERTIFICATE")',
        "DECODED": "encoded | b64decode",
        "FALLBACK": "empty | default(password)",
    },
    "templates": {
        "URL": "smtp://{{ user | urlencode }}:{{ smtp/password | urlencode }}@{{ @PASSWORD | shell }}",
        "TEXT": '{{ password | upper | lower | trim }}{{ user | replace("w", "v") }}\n  {{ lines | indent(2) }}',
        "JSON": '{"a": {{ password | json }}, "smtp": {{ smtp/* | json }}}',
        "ENV": "{{ smtp/* | dotenv }}",
        "PROPERTIES": "{{ smtp/* | properties }}",
        "CODED": '{{ binary | b64encode("url") }} {{ binary | hexencode }} {{ password | sha256 }}',
        "BASIC": "{{ user | basicauth(password) }}",
        "AGAIN": "{{ @PKCS12 | b64encode }} {{ @JSON | json }}",
    },
    "include": ["odd*", "smtp/mail*"],
    "previous": {"for": "1m", "keys": {"PASSWORD_OLD": "PASSWORD", "PKCS12_OLD": "PKCS12"}},
}

REFUSED: Mapping[str, list[dict[str, Any]]] = {
    "InvalidTemplate": [
        {"keys": {"A": "password | uper"}},
        {"templates": {"A": "{{ @B }}", "B": "{{ @A }}"}},
        {"templates": {"A": "{% if password %}"}},
        {"keys": {"A": "password | openssh | b64encode"}},
    ],
    "FieldNotFound": [
        {"keys": {"A": "passwort"}},
        {"keys": {"A": "empty"}},
        {"templates": {"A": "{{ password }}{{ smtp/none }}"}},
    ],
    "FieldAmbiguous": [{"keys": {"A": "token"}}],
    "ValueInvalid": [
        {"keys": {"A": hole}}
        for hole in (
            "password | b64decode",
            'password | b64decode("url")',
            "binary | upper",
            "binary | json",
            "password | replace(binary, user)",
            "password | openssh",
            "binary | openssh",
            "locked | openssh",
            "cut | openssh",
            "broken | pkcs8",
            "odd | pkcs8",
            "cert | pkcs8",
            "ssh | pkcs12(cert, user)",
            "key | pkcs12(password, user)",
            "key | pkcs12(cert, password)",
            "key | truststore(user)",
            "cert | truststore(password)",
            'password | pem("CERTIFICATE")',
            'cut | pem("KEY")',
            "long | bcrypt",
            "password | htpasswd(colon)",
            "colon | basicauth(password)",
        )
    ]
    + [
        {"templates": {"A": "{{ binary }}"}},
        {"templates": {"A": "{{ * | dotenv }}"}},
        {"keys": {"B": "binary"}, "templates": {"A": "{{ @B }}"}},
        {"keys": {"B": "key | openssh"}, "templates": {"A": "{{ @B | b64decode }}"}},
    ],
    "KeyConflict": [{**SMTP, "include": ["password", "smtp/password"]}],
    "TemplateTooExpensive": [{"templates": {"A": "{{ big | sha256 }}" * 25}}],
    "SecretTooLarge": [{"keys": {"A": "big", "B": "big"}}, {"templates": {"A": "{{ big }}{{ big }}"}}],
    "SecretInvalid": [
        {"templates": {".dockerconfigjson": "no json {{ password }}"}, "secret": {"type": "kubernetes.io/dockerconfigjson"}},
        {"keys": {"tls.crt": "password"}, "secret": {"type": "kubernetes.io/tls"}},
    ],
}  # fmt: skip


def put_items(stage: Stage) -> None:
    """The items that all objects are made of."""
    fields = [{"label": label, "value": value} for label, value in MAIN.items()]
    twice = [{"label": "token", "value": CANARY, "section": section} for section in ("a", "b")]
    sections = [{"id": "a", "label": "Staging"}, {"id": "b", "label": "Live"}]
    item = {"title": "web", "category": "SECURE_NOTE", "sections": sections, "fields": fields + twice, "files": FILES}
    stage.connect.create(VAULT, item)
    stage.put_item("smtp", {"password": PLAIN_CANARY, "mail_from": CANARY})


async def through_success(stage: Stage) -> None:
    """Every filter; changed values that stay as previous ones; a docker config; a whole item."""
    await stage.shape("web", **GOOD)
    await stage.ready("web")
    await stage.deploy("web", secret="web")
    auth = '{"auths": {"r.example": {"auth": {{ user | basicauth(password) | json }}}}}'
    docker = {"templates": {".dockerconfigjson": auth}, "secret": {"type": "kubernetes.io/dockerconfigjson"}}
    await stage.shape("docker", f"vaults/{VAULT}/items/web", **docker)
    await stage.shape("whole", f"vaults/{VAULT}/items/smtp", templates={"all": "{{ * | json }}"}, include=["*"])
    await stage.ready("docker")
    await stage.ready("whole")
    stage.rotate("web", f"new {CANARY}")
    await stage.settled("web", restarts=1)
    data = await stage.data("web")
    assert (data["PASSWORD"], data["PASSWORD_OLD"]) == (f"new {CANARY}".encode(), CANARY.encode())
    stage.connect.edit(VAULT, "web", fields=[{"label": "user", "value": PLAIN_CANARY * 2}])
    await stage.settled("web", restarts=2)
    await stage.ready("web")


async def through_hands(stage: Stage) -> None:
    """In the place of bytes that were made at random, and of previous ones; in a Secret that is deleted."""
    random = ("OPENSSH", "PKCS12", "TRUST", "BCRYPT", "HTPASSWD", "PASSWORD_OLD")
    for text in (CANARY, MAIN["key"], MAIN["broken"], MAIN["odd"]):
        await stage.edit_secret("web", {"data": encoded(dict.fromkeys(random, text))})

        async def mended(text: str = text) -> None:
            data = await stage.data("web")
            assert not any(data[key] == text.encode() for key in random)

        await eventually(mended)
    await stage.cluster.delete(SECRETS, stage.namespace, "web")

    async def there() -> None:
        assert await stage.data("web")

    await eventually(there)


async def through_refusals(stage: Stage) -> None:
    """Every reason for which a Secret cannot be made, when it is first asked for and when the spec of a good one changes."""
    for reason, specs in REFUSED.items():
        names = [f"{reason.lower()}-{number}" for number in range(len(specs))]
        for name, spec in zip(names, specs, strict=True):
            await stage.shape(name, f"vaults/{VAULT}/items/web", **spec)
        for name in names:
            found = await stage.says(name, reason, ready="False")
            assert "keys" not in found["status"]
        await stage.event(names[0], reason)
    before = await stage.data("whole")
    await stage.edit("whole", {"spec": {"keys": {"A": "mail_from | b64decode"}}})
    await stage.says("whole", "ValueInvalid", ready="False")
    assert await stage.data("whole") == before


async def through_bad_answers(stage: Stage) -> None:
    """In what Connect answers instead of a further item."""
    answer_badly(stage, "smtp")
    stage.connect.clear_faults()
    wanted = stage.connect.value(VAULT, "smtp").encode()

    async def come() -> None:
        assert (await stage.data("web"))["SMTP"] == wanted

    await eventually(come)


async def through_rest(stage: Stage) -> None:
    """Overruled and suspended."""
    await stage.cluster.create(
        ONEPASSWORD_ITEMS, stage.namespace, "web", {"spec": {"itemPath": f"vaults/{VAULT}/items/web"}}, field_manager="kubectl"
    )  # fmt: skip
    await stage.says("web", "Overruled", ready="False", kind=ONEPASSWORD_ITEMS)
    await stage.edit("web", {"spec": {"suspend": True}})
    await stage.says("web", "Suspended", ready="True")
    stage.rotate("web", f"suspended {CANARY}")
    await stage.edit("web", {"spec": {"suspend": False}})
    await stage.ready("web")


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_no_value_of_a_shaped_secret_leaves_through_another_door(stage, log_format):
    """Put through every filter and every reason, a value is found in Secrets and nowhere else, not even at debug level."""
    stage.kind = KEYTURN_SECRETS
    search = Search(stage)
    put_items(stage)
    operator: OperatorProcess = stage.operator("--log-level=debug", f"--log-format={log_format}", AUTO_RESTART="true")

    for step in (through_success, through_hands, through_refusals, through_bad_answers, through_rest):
        await step(stage)
        search.listen(operator)
        await search.look()
    code = operator.terminate()
    search.read(operator)
    await search.look()

    assert code == 0
    assert search.places() == {
        "/metrics", "/readyz?verbose", "/healthz?verbose", "output",
        "Secret", "OnePasswordItem", "KeyturnSecret", "Deployment", "Event",
    }  # fmt: skip
    assert search.finds() == {}
    assert " failed with " not in operator.logged()
