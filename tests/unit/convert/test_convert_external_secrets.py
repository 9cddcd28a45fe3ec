"""What an ExternalSecret becomes, construct by construct, and what is left out instead of guessed."""

import pytest

from keyturn.convert.errors import NotConvertible
from keyturn.convert.external_secrets import convert_external_secret

APP = {"extract": {"key": "app"}}
SMTP = {"extract": {"key": "SMTP relay"}}
DB = {"extract": {"key": "db"}, "rewrite": [{"regexp": {"source": "(.*)", "target": "db_$1"}}]}


def external_secret(version="v1", metadata=None, **spec):
    return {
        "apiVersion": f"external-secrets.io/{version}",
        "kind": "ExternalSecret",
        "metadata": {"name": "web", **(metadata or {})},
        "spec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "onepassword"}, **spec},
    }


def converted(manifest):
    return convert_external_secret(manifest, "Home")


def spec_of(**spec):
    return converted(external_secret(**spec)).manifest["spec"]


def templated(data, *, sources=(APP,), **template):
    """The spec of an ExternalSecret with this template."""
    return spec_of(dataFrom=list(sources), target={"template": {"engineVersion": "v2", "data": data, **template}})


def value(template, *, sources=(APP,)):
    """What one value of a template becomes: a hole in keys, or a text."""
    spec = templated({"K": template}, sources=sources)
    return spec.get("keys", {}).get("K", spec.get("templates", {}).get("K"))


PATH = "vaults/Home/items"


@pytest.mark.parametrize(
    ("spec", "becomes"),
    [
        pytest.param({"dataFrom": [APP]}, {"itemPath": f"{PATH}/app"}, id="extract"),
        pytest.param(
            {"dataFrom": [{"extract": {"key": "app", "property": "token"}}]},
            {"itemPath": f"{PATH}/app", "include": ["token"]},
            id="extract one property",
        ),
        pytest.param(
            {"dataFrom": [APP, SMTP]},
            {"itemPath": f"{PATH}/app", "items": {"smtp-relay": f"{PATH}/SMTP relay"}, "include": ["*", "smtp-relay/*"]},
            id="extract two items",
        ),
        pytest.param(
            {"data": [{"secretKey": "TOKEN", "remoteRef": {"key": "app", "property": "api token"}}]},
            {"itemPath": f"{PATH}/app", "keys": {"TOKEN": "api token"}},
            id="data",
        ),
        pytest.param(
            {"data": [{"secretKey": "TOKEN", "remoteRef": {"key": "app"}}]},
            {"itemPath": f"{PATH}/app", "keys": {"TOKEN": "password"}},
            id="data without a property",
        ),
        pytest.param(
            {"data": [{"secretKey": "ca", "remoteRef": {"key": "team/app", "property": "file/ca.crt"}}]},
            {"itemPath": f"{PATH}/team/app", "keys": {"ca": "ca.crt"}},
            id="data of a file, a title with a slash",
        ),
        pytest.param(
            {"data": [{"secretKey": "k", "remoteRef": {"key": "app", "property": "b", "decodingStrategy": "Base64"}}]},
            {"itemPath": f"{PATH}/app", "keys": {"k": "b | b64decode"}},
            id="data that is decoded",
        ),
        pytest.param(
            {"data": [{"secretKey": "k", "remoteRef": {"key": "a", "property": "b", "decodingStrategy": "Base64URL"}}]},
            {"itemPath": f"{PATH}/a", "keys": {"k": 'b | b64decode("url")'}},
            id="data that is decoded from base64url",
        ),
        pytest.param(
            {"data": [{"secretKey": "k", "remoteRef": {"key": "other", "property": "b"}}], "dataFrom": [APP]},
            {
                "itemPath": f"{PATH}/app",
                "items": {"other": f"{PATH}/other"},
                "keys": {"k": "other/b"},
                "include": ["*"],
            },
            id="data beside dataFrom",
        ),
        pytest.param(
            {"dataFrom": [APP], "target": {"template": {"mergePolicy": "Merge", "data": {"LEVEL": "info"}}}},
            {"itemPath": f"{PATH}/app", "templates": {"LEVEL": "info"}, "include": ["*"]},
            id="a template that is merged",
        ),
        pytest.param(
            {"dataFrom": [APP], "target": {"template": {"data": {"LEVEL": "info"}}}},
            {"itemPath": f"{PATH}/app", "templates": {"LEVEL": "info"}},
            id="nothing but constants",
        ),
        pytest.param(
            {"dataFrom": [APP], "target": {"template": {"type": "kubernetes.io/tls"}}},
            {"itemPath": f"{PATH}/app", "secret": {"type": "kubernetes.io/tls"}},
            id="a type alone",
        ),
        pytest.param(
            {
                "dataFrom": [APP],
                "target": {"template": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "{{ `{{d}}` }}"}}}},
            },
            {"itemPath": f"{PATH}/app", "secret": {"labels": {"a": "b"}, "annotations": {"c": "{{d}}"}}},
            id="labels and annotations",
        ),
        pytest.param(
            {"dataFrom": [APP], "refreshInterval": "1h", "refreshPolicy": "OnChange", "target": {"deletionPolicy": "Delete"}},
            {"itemPath": f"{PATH}/app"},
            id="what is dropped",
        ),
        pytest.param(
            {"dataFrom": [{**APP, "sourceRef": {"storeRef": {"kind": "ClusterSecretStore", "name": "onepassword"}}}]},
            {"itemPath": f"{PATH}/app"},
            id="the same store once more",
        ),
    ],
)  # fmt: skip
def test_the_sources(spec, becomes):
    """Without a template, `data` and `dataFrom` decide the keys."""
    assert spec_of(**spec) == becomes


@pytest.mark.parametrize(
    ("template", "becomes"),
    [
        ("{{ .TOKEN }}", "TOKEN"),
        ('{{ index . "api token" }}', "api token"),
        ("{{ .TOKEN }}\n", "{{ TOKEN }}\n"),
        ("", ""),
        ("info", "info"),
        ("Bearer {{ .TOKEN }}", "Bearer {{ TOKEN }}"),
        ('postgres://{{ .user }}:{{ .pw }}@db/{{ .name | default "app" }}',
         'postgres://{{ user }}:{{ pw }}@db/{{ name | default("app") }}'),
        ('{{ default "a" .X }}', 'X | default("a")'),
        ('{{ coalesce .X .Y "z" }}', 'X | default(Y, "z")'),
        ("{{ .X | b64enc }}", "X | b64encode"),
        ("{{ .X | b64dec }}", "X | b64decode"),
        ("{{ .X | trim | upper | lower }}", "X | trim | upper | lower"),
        ('{{ .X | replace "a" "\\"b\\"" }}', 'X | replace("a", "\\"b\\"")'),
        ("{{ .X | sha256sum }}", "X | sha256"),
        ("{{ .X | urlquery }}", "X | urlencode"),
        ("{{ .X | toString }}", "X"),
        ("{{ .X | quote }}", "X | json"),
        ("{{ .X | toJson }}", "X | json"),
        ("{{ .X | bcrypt }}", "X | bcrypt"),
        ("{{ htpasswd .user .pw }}", "pw | htpasswd(user)"),
        ('{{ htpasswd "admin" .pw }}', 'pw | htpasswd("admin")'),
        ('{{ .X | filterPEM "CERTIFICATE" }}', 'X | pem("CERTIFICATE")'),
        ('{{ printf "%s:%s" .user .pw | b64enc }}', "user | basicauth(pw)"),
        ('{{ printf "%s-%v%%" .a .b }}', "{{ a }}-{{ b }}%"),
        ('a: {{ printf "%q" "{{album}}" }}', 'a: "{{ "{{" }}album}}"'),
        ('{{ "x" | b64enc }}', '"x" | b64encode'),
        ("a:\n{{ .X | indent 2 }}", "a:\n  {{ X | indent(2) }}"),
        ("a:{{ .X | nindent 2 }}", "a:\n  {{ X | indent(2) }}"),
        ('{{ toJson (dict "b" .X "a" (dict "c" true "d" (list 1 "e"))) }}',
         '{"a":{"c":true,"d":[1,"e"]},"b":{{ X | json }}}'),
        ("{{ `{{ x }} {%` }}", '{{ "{{" }} x }} {{ "{%" }}'),
        ("{{ `{` }}{{ .X }}", '{{ "{" }}{{ X }}'),
        ("{{ .A_${CLUSTER^^} }}", "A_${CLUSTER^^}"),
        ("${DOMAIN}/{{ .X }}", "${DOMAIN}/{{ X }}"),
    ],
)  # fmt: skip
def test_the_templates(template, becomes):
    """A value alone becomes a key, anything else a text."""
    assert value(template) == becomes


@pytest.mark.parametrize(
    ("sources", "template", "becomes"),
    [
        ((APP, SMTP), "{{ .X }}", "smtp-relay/X | default(X)"),
        ((APP, SMTP), "{{ .X | b64enc }}", "smtp-relay/X | default(X) | b64encode"),
        ((APP, DB), "{{ .db_pw }}", "db/pw | default(db_pw)"),
        ((DB, SMTP), "{{ .X }}", "X"),
        ((APP, APP), "{{ .X }}", "X"),
        ((DB,), "{{ .db_pw }}", "pw"),
        (({"extract": {"key": "app", "decodingStrategy": "Base64"}},), "{{ .X }}", "X | b64decode"),
        ((APP, {"extract": {"key": "one", "property": "Y"}}), "{{ .X }}", "X"),
    ],
)
def test_names_that_may_come_from_several_items(sources, template, becomes):
    """The later extract counts first; a prefix that only one has tells them apart."""
    assert value(template, sources=sources) == becomes


def test_items_get_aliases_of_their_titles():
    """Legal ones, each once; an item of which nothing is used is left out."""
    titles = ["main", "Größe", "1st", "a" * 40, "A" * 40, "x/y z", "!"]
    data = [
        {"secretKey": f"k{number}", "remoteRef": {"key": each, "property": "p"}} for number, each in enumerate(titles)
    ]
    assert list(spec_of(data=data)["items"]) == ["gr-e", "item-1st", "a" * 32, f"{'a' * 28}-2", "y-z", "item"]

    unused = spec_of(dataFrom=[DB, APP, SMTP], target={"template": {"data": {"K": "{{ .db_pw }}"}}})
    assert unused["items"].keys() == {"app", "smtp-relay"}
    only = spec_of(data=data, target={"template": {"data": {"K": "{{ .k3 }}"}}})
    assert only == {"itemPath": f"{PATH}/{'a' * 40}", "keys": {"K": "p"}}


def test_a_function_of_a_composed_text_gets_a_key_of_its_own():
    """A hole takes one value, so the text becomes a key, and a note says so."""
    template = '{{ toJson (dict "a" .X) | b64enc }}'
    result = converted(external_secret(dataFrom=[APP], target={"template": {"data": {"TOKEN": template}}}))

    assert result.manifest["spec"]["keys"] == {"TOKEN": "@TOKEN.text | b64encode"}
    assert result.manifest["spec"]["templates"] == {"TOKEN.text": '{"a":{{ X | json }}}'}
    assert result.notes == ("the Secret gets a further key `TOKEN.text`, of which `TOKEN` is made",)


def test_the_metadata():
    """The Secret's name, what a user wrote, and nothing that a cluster added."""
    manifest = external_secret(
        metadata={
            "namespace": "shop",
            "uid": "u",
            "labels": {"team": "red"},
            "annotations": {
                "force-sync": "1",
                "note": "x",
                "argocd.argoproj.io/sync-wave": "2",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "reconcile.external-secrets.io/x": "y",
            },
            "ownerReferences": [{}],
        },
        dataFrom=[APP],
        target={"name": "web-secret"},
    )
    result = converted(manifest).manifest

    assert list(result) == ["apiVersion", "kind", "metadata", "spec"]
    assert (result["apiVersion"], result["kind"]) == ("keyturn.dev/v1alpha1", "KeyturnSecret")
    assert result["metadata"] == {
        "name": "web-secret",
        "namespace": "shop",
        "labels": {"team": "red"},
        "annotations": {"note": "x", "argocd.argoproj.io/sync-wave": "2"},
    }
    # External Secrets copies annotations to the Secret if there is no template.
    assert result["spec"]["secret"] == {"annotations": {"note": "x"}}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_versions(version):
    """Both have the same fields."""
    assert converted(external_secret(version, dataFrom=[APP])).manifest["spec"] == {"itemPath": f"{PATH}/app"}


def test_notes():
    """What is different afterwards, though it converts."""
    orphan = converted(external_secret(dataFrom=[APP], target={"creationPolicy": "Orphan"}))
    several = converted(external_secret(dataFrom=[APP, SMTP]))

    assert [note.partition(":")[0] for note in orphan.notes] == ["creationPolicy Orphan"]
    assert [note.partition(":")[0] for note in several.notes] == ["dataFrom"]
    assert converted(external_secret(dataFrom=[APP], target={"creationPolicy": "Owner"})).notes == ()


def test_without_a_vault_the_path_is_not_valid():
    """On purpose: the API server refuses it until somebody has written the vault."""
    spec = convert_external_secret(external_secret(dataFrom=[APP, SMTP]), None).manifest["spec"]
    assert (spec["itemPath"], spec["items"]) == ("vaults//items/app", {"smtp-relay": "vaults//items/SMTP relay"})


def template_of(**template):
    return {"dataFrom": [APP], "target": {"template": template}}


def remote(**more):
    return {"data": [{"secretKey": "K", "remoteRef": {"key": "app", "property": "p", **more}}]}


LEFT_OUT = {
    "no source": ({}, "spec: it has neither data nor dataFrom, so no item"),
    "find": ({"dataFrom": [{"find": {"tags": {}, "name": {"regexp": "a"}}}]}, "spec.dataFrom[0].find: a search for items"),
    "generator": (
        {"dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Password"}}}]},
        "spec.dataFrom[0].sourceRef.generatorRef: a generator",
    ),
    "second store": ({"dataFrom": [{**APP, "sourceRef": {"storeRef": {"name": "b"}}}]}, "sourceRef.storeRef: a second store"),
    "version": (remote(version="3"), "spec.data[K].remoteRef.version: a pinned version"),
    "metadata": (remote(metadataPolicy="Fetch"), "spec.data[K].remoteRef.metadataPolicy: of its values, only these"),
    "decoding": (remote(decodingStrategy="Auto"), "only these can be converted: None, Base64, Base64URL"),
    "conversion": (remote(conversionStrategy="Unicode"), "spec.data[K].remoteRef.conversionStrategy"),
    "label": (remote(property="a/b"), "data[K]: a field whose label cannot be written in a reference: name it by its id"),
    "slash": (
        {"data": [{"secretKey": "K", "remoteRef": {"key": "app/TOKEN"}}]},
        "spec.data[K].remoteRef.key: `app/TOKEN` without a property may be an item, or an item with a field",
    ),
    "no title": ({"dataFrom": [{"extract": {"key": "a\nb"}}]}, "spec.dataFrom[0].extract.key: this is no title"),
    "no key": ({"data": [{"remoteRef": {"key": "a"}}]}, "spec.data[0].secretKey: a text must stand here"),
    "illegal key": (
        {"data": [{"secretKey": "a b", "remoteRef": {"key": "a"}}]},
        "data: `a b` is no legal key of a Secret",
    ),
    "decoded extract": (
        {"dataFrom": [{"extract": {"key": "a", "decodingStrategy": "Base64"}}]},
        "spec.dataFrom[0].extract.decodingStrategy: decoded values without a template",
    ),
    "renamed extract": ({"dataFrom": [DB]}, "spec.dataFrom[0].rewrite: renamed keys without a template"),
    "odd property": (
        {"dataFrom": [{"extract": {"key": "a", "property": "x/y"}}]},
        "spec.dataFrom.extract.property: a field whose label cannot be written",
    ),
    "engine": (template_of(engineVersion="v1", data={"K": "a"}), "engineVersion: of its values, only these"),
    "templateFrom": (template_of(templateFrom=[{"configMap": {}}]), "spec.target.template.templateFrom: templates from"),
    "finalizers": (template_of(metadata={"finalizers": ["a"]}), "spec.target.template.metadata.finalizers"),
    "a value in a label": (template_of(metadata={"labels": {"a": "{{ .X }}"}}), "labels[a]: a value of an item"),
    "a value in a type": (template_of(type="{{ .X }}"), "spec.target.template.type: a value of an item"),
    "token": (
        template_of(metadata={"annotations": {"kubernetes.io/service-account.name": "a"}}),
        "Kubernetes would issue a token for this service account",
    ),
    "token type": (template_of(type="kubernetes.io/service-account-token"), "the type of the Secret"),
    "own label": (
        template_of(metadata={"labels": {"app.kubernetes.io/managed-by": "x"}}),
        "the labels of the Secret[app.kubernetes.io/managed-by]: Keyturn writes this one itself",
    ),
    "control flow": (template_of(data={"K": "{{ if .X }}{{ end }}"}), "template.data[K]: the template uses control flow, `if`"),
    "function": (template_of(data={"K": "{{ .X | fromJson }}"}), "template.data[K]: the function `fromJson`, which has no filter"),
    "all values": (template_of(data={"K": "{{ . | toJson }}"}), "template.data[K]: `.`, all values at once"),
    "unknown name": (
        {"data": [{"secretKey": "A", "remoteRef": {"key": "a"}}], "target": {"template": {"data": {"K": "{{ .B }}"}}}},
        "template.data[K]: the name `B`, which is in no entry of data or dataFrom",
    ),
    "two decodings": (
        {
            "dataFrom": [APP, {"extract": {"key": "b", "decodingStrategy": "Base64"}}],
            "target": {"template": {"data": {"K": "{{ .B }}"}}},
        },
        "the name `B`, whose sources have different decoding strategies",
    ),
    "default after a filter": (template_of(data={"K": '{{ .X | upper | default "a" }}'}), "`default` of a value that is no plain"),
    "verb": (template_of(data={"K": '{{ printf "%d" .X }}'}), "`printf` with another verb than %s"),
    "values without verbs": (template_of(data={"K": '{{ printf "%s" .X .Y }}'}), "`printf` with more values than verbs"),
    "format": (template_of(data={"K": "{{ printf .X }}"}), "`printf` of a format that is no string"),
    "arguments": (template_of(data={"K": "{{ upper .X .Y }}"}), "`upper` with another number of arguments than 1"),
    "no constant": (template_of(data={"K": '{{ replace .X "a" .Y }}'}), "`replace` with an argument that is no constant"),
    "no number": (template_of(data={"K": '{{ indent "a" .Y }}'}), "`indent` with an argument that is no constant"),
    "wide": (template_of(data={"K": "{{ indent 65 .Y }}"}), "the KeyturnSecret would not be valid"),
    "nothing": (template_of(data={"K": "{{ coalesce }}"}), "`coalesce` of nothing"),
    "dict": (template_of(data={"K": '{{ toJson (dict "a") }}'}), "`dict` with a name that has no value"),
    "dict name": (template_of(data={"K": "{{ toJson (dict .X .X) }}"}), "`dict` with a name that is no string"),
    "pem": (template_of(data={"K": '{{ filterPEM "X" .X }}'}), "`filterPEM` of other blocks than"),
    "htpasswd": (template_of(data={"K": "{{ htpasswd (upper .X) .X }}"}), "`htpasswd` of a user who is no plain field"),
    "helper is taken": (
        template_of(data={"K.text": "a", "K": '{{ printf "a%s" .X | upper }}'}),
        "the key `K.text` is needed",
    ),
    "random not last": (template_of(data={"K": "a{{ .X | bcrypt }}"}), "the KeyturnSecret would not be valid"),
    "composed label": (
        template_of(metadata={"labels": {"a": '{{ printf "%s" "a" | upper }}{{ printf "a%s" "b" | quote }}'}}),
        "labels[a]:",
    ),
    "no text": (template_of(data={"K": 1}), "spec.target.template.data[K]: a text must stand here"),
    "manifest": ({"dataFrom": [APP], "target": {"manifest": {"kind": "ConfigMap"}}}, "a target that is no Secret"),
    "merge": ({"dataFrom": [APP], "target": {"creationPolicy": "Merge"}}, "spec.target.creationPolicy: of its values, only"),
    "none": ({"dataFrom": [APP], "target": {"creationPolicy": "None"}}, "spec.target.creationPolicy: of its values, only"),
    "immutable": ({"dataFrom": [APP], "target": {"immutable": True}}, "spec.target.immutable: an immutable Secret"),
    "unknown": ({"dataFrom": [APP], "later": 1}, "spec.later: a field that the converter does not know"),
    "a list": ({"dataFrom": {}, "data": {}}, "spec.dataFrom: this is no list of objects"),
    "a list of texts": ({"dataFrom": ["a"]}, "spec.dataFrom: this is no list of objects"),
    "a text": ({"dataFrom": [APP], "target": "a"}, "spec.target: this is no object"),
    "too many items": (
        {"data": [{"secretKey": f"k{n}", "remoteRef": {"key": f"i{n}"}} for n in range(18)]},
        "the KeyturnSecret would not be valid",
    ),
    "too many candidates": (
        {"dataFrom": [{"extract": {"key": f"i{n}"}} for n in range(10)], "target": {"template": {"data": {"K": "{{ .B }}"}}}},
        "the KeyturnSecret would not be valid",
    ),
    "a long path": ({"dataFrom": [{"extract": {"key": "a" * 2048}}]}, "spec: the path of an item is longer than 2048"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_cannot_be_said_is_named(case):
    """One line with the field and the key."""
    spec, why = LEFT_OUT[case]
    with pytest.raises(NotConvertible) as refused:
        converted(external_secret(**spec))
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (external_secret("v1alpha1", dataFrom=[APP]), "apiVersion: only v1 and v1beta1 can be converted"),
        (external_secret(metadata={"name": None}, dataFrom=[APP]), "metadata.name: a text must stand here"),
        (external_secret(metadata={"labels": {"a": 1}}, dataFrom=[APP]), "metadata.labels[a]: a text must stand here"),
        ({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret"}, "spec: it has neither data nor dataFrom"),
        ({"apiVersion": "external-secrets.io/v1", "metadata": []}, "metadata: this is no object"),
    ],
)
def test_odd_objects_are_named(manifest, why):
    """Whatever somebody typed, it is a line and no traceback."""
    with pytest.raises(NotConvertible) as refused:
        converted(manifest)
    assert str(refused.value).startswith(why)
