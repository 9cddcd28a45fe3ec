"""The broker as the chart renders it: off by default, with its own account, token and certificate, and with few rights."""

import re
import ssl
from base64 import b64decode

import pytest
from cryptography import x509

from connect_emulator.clock import Clock
from connect_emulator.server import ConnectEmulator
from support.chart_values import BROKER, EVERYTHING, SERVICE_ACCOUNT
from support.helm import CHART, container, environment, of_kind, only

TRIAL = {"broker": {"enabled": True}, "emulator": {"enabled": True}}


def of_broker(manifests, kind):
    """The only one of a kind that belongs to the broker."""
    return only(manifests, kind, component="broker")


def pod_of_broker(manifests):
    return of_broker(manifests, "Deployment")["spec"]["template"]["spec"]


def rules_of_broker(manifests):
    """The broker's rules, by the namespace that they count in; those of the whole cluster under an empty text."""
    found = {}
    for kind in ("ClusterRole", "Role"):
        for role in of_kind(manifests, kind):
            if role["metadata"]["labels"]["app.kubernetes.io/component"] == "broker":
                found[role["metadata"].get("namespace", "")] = role["rules"]
    return found


def test_there_is_no_broker_unless_somebody_wants_one(helm):
    """The operator has nothing that can be called, and an upgrade must not change that."""
    rendered = helm.render(EVERYTHING | {"broker": {"enabled": False}, "crds": {"enabled": False}})

    assert not [manifest for manifest in rendered if "broker" in manifest["metadata"]["name"]]
    assert "tokenreviews" not in str(rendered)


def test_both_run_the_same_image_and_share_nothing_else(helm):
    """One image to build, to scan and to mirror; but neither the account nor the token of the other."""
    manifests = helm.render(BROKER)
    pods = {
        component: only(manifests, "Deployment", component=component)["spec"]["template"]["spec"]
        for component in ("operator", "broker")
    }

    assert len({pod["containers"][0]["image"] for pod in pods.values()}) == 1
    assert len({pod["serviceAccountName"] for pod in pods.values()}) == 2
    secrets = {
        component: {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        for component, pod in pods.items()
    }
    assert secrets == {
        "operator": {"onepassword-token"},
        "broker": {"onepassword-broker-token", "keyturn-broker-tls"},
    }


def test_the_brokers_arguments_are_files_and_ports_that_its_pod_has(helm):
    """Flags and mounts are written in two places."""
    for values in (BROKER, EVERYTHING):
        main = container(helm.render(values), component="broker")
        ports = {port["name"]: port["containerPort"] for port in main["ports"]}
        flags = dict(flag.removeprefix("--").split("=", 1) for flag in main["args"][1:])

        assert (main["command"], main["args"][0]) == (["keyturn"], "broker")
        assert flags["bind-address"] == f":{ports['https']}"
        assert flags["health-probe-bind-address"] == f":{ports['health']}"
        assert flags["metrics-bind-address"] == f":{ports['metrics']}"
        mounted = {mount["mountPath"] for mount in main["volumeMounts"]}
        variables = environment(helm.render(values), component="broker")
        files = [flags["tls-cert-file"], flags["tls-private-key-file"], variables["OP_CONNECT_TOKEN_FILE"]]
        assert {file.rpartition("/")[0] for file in files} <= mounted


def test_an_end_takes_less_time_than_the_kubelet_gives(helm):
    """Answers under way get 25 seconds; the kubelet kills what is late."""
    pod = pod_of_broker(helm.render(BROKER))
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pause + 25 < pod["terminationGracePeriodSeconds"]


def test_its_service_leads_to_its_pods_alone(helm):
    """The operator's pods have the same labels but for one."""
    manifests = helm.render(BROKER)
    labels = of_broker(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    others = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]

    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        spec = of_broker(manifests, kind)["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        selector = selector.get("matchLabels", selector)
        assert selector.items() <= labels.items()
        assert not selector.items() <= others.items()


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({}, "keyturn-broker-tls"),
        ({"tls": {"secret": "given"}}, "given"),
        ({"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "ca"}}}}, "keyturn-broker-tls"),
        ({"tls": {"secret": "given", "certManager": {"enabled": True, "issuerRef": {"name": "ca"}}}}, "given"),
    ],
)
def test_the_certificate_that_is_made_is_the_one_that_is_mounted(helm, values, secret):
    """A certificate in another Secret would leave the pods waiting for theirs."""
    manifests = helm.render({"broker": {"enabled": True, **values}})
    [tls] = [volume["secret"] for volume in pod_of_broker(manifests)["volumes"] if volume["name"] == "tls"]

    assert tls["secretName"] == secret
    for certificate in of_kind(manifests, "Certificate"):
        assert certificate["spec"]["secretName"] == secret
        assert "keyturn-broker.keyturn.svc" in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize("emulated", [True, False])
def test_only_a_trial_gets_a_key_from_the_chart(helm, emulated):
    """A key that Helm makes is in its history, and another one after each `helm template`: not good for more than a trial."""
    manifests = helm.render({"broker": {"enabled": True}, "emulator": {"enabled": emulated}})
    made = [secret for secret in of_kind(manifests, "Secret") if secret.get("type") == "kubernetes.io/tls"]

    assert bool(made) is emulated


def test_the_certificate_of_a_trial_is_one_that_clients_trust(helm, tmp_path):
    """New versions of Python check certificates strictly, and the name is the one that the notes print."""
    values = {**TRIAL, "broker": {"enabled": True, "tls": {"dnsNames": ["broker.example.com"]}}}
    made = of_broker(helm.render(values), "Secret")
    data = {key: b64decode(text) for key, text in made["data"].items()}
    for key, content in data.items():
        (tmp_path / key).write_bytes(content)

    assert _shake_hands(tmp_path, name="keyturn-broker.keyturn.svc")
    assert _shake_hands(tmp_path, name="broker.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(tmp_path, name="keyturn.keyturn.svc")
    authority = x509.load_pem_x509_certificate(data["ca.crt"])
    own = x509.load_pem_x509_certificate(data["tls.crt"])
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def _shake_hands(folder, *, name):
    """A handshake in memory, checked as Python 3.13 does; raises if the client does not trust the server."""
    client = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    ways = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    ends = [
        client.wrap_bio(ways[0], ways[1], server_hostname=name),
        server.wrap_bio(ways[1], ways[0], server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].version()


async def test_the_emulator_knows_the_brokers_own_token(helm, tmp_path):
    """In a trial, too, what the broker asks is told apart from what the operator asks."""
    manifests = helm.render(TRIAL)
    description = tmp_path / "emulator.yaml"
    description.write_text(only(manifests, "ConfigMap", component="emulator")["data"]["emulator.yaml"])
    tokens = {secret["metadata"]["name"]: secret.get("stringData", {}) for secret in of_kind(manifests, "Secret")}
    [mounted] = [
        volume["secret"]["secretName"] for volume in pod_of_broker(manifests)["volumes"] if volume["name"] == "connect"
    ]

    async with ConnectEmulator.start(description, seed=0, clock=Clock.manual(1.8e9)) as emulator:
        for name, owner in ((mounted, "broker"), ("keyturn-emulator-token", "operator")):
            assert emulator.authority.check(f"Bearer {tokens[name]['token']}", missing="").name == owner
    assert "broker-token" not in str(helm.render({"emulator": {"enabled": True}}))


def test_a_service_account_takes_the_place_of_connect_here_too(helm):
    """With a token of its own, of which nothing is known to the operator."""
    values = {"name": "robot-2", "key": "ops", "value": "canary-token"}
    manifests = helm.render({**SERVICE_ACCOUNT, "broker": {"enabled": True, "serviceAccountToken": values}})
    variables = environment(manifests, component="broker")

    assert variables["OP_SERVICE_ACCOUNT_TOKEN_FILE"] == "/etc/keyturn/onepassword/token"
    assert not [name for name in variables if name.startswith("OP_CONNECT_")]
    secret = of_broker(manifests, "Secret")
    assert (secret["metadata"]["name"], secret["stringData"]) == ("robot-2", {"ops": "canary-token"})


def test_the_broker_may_read_only_the_secrets_that_are_named(helm):
    """RBAC knows no more than names: each is listed, in its namespace, and none is listed for all."""
    names = {"team-a": ["connect-token", "connect-ca"], "team-b": ["account"]}
    rules = rules_of_broker(helm.render({**BROKER, "connections": {"credentials": names}}))

    secrets = {
        namespace: rule for namespace, found in rules.items() for rule in found if "secrets" in rule["resources"]
    }
    assert {namespace: set(rule["resourceNames"]) for namespace, rule in secrets.items()} == {
        namespace: set(listed) for namespace, listed in names.items()
    }
    assert {tuple(rule["verbs"]) for rule in secrets.values()} == {("get",)}


@pytest.mark.parametrize("namespaces", [[], ["red", "blue"]])
def test_the_broker_writes_nothing_but_reviews_of_tokens(helm, namespaces):
    """Whatever an intruder makes of it, no object of the cluster changes."""
    rules = rules_of_broker(helm.render({"broker": {"enabled": True}, "operator": {"watchNamespace": namespaces}}))
    everywhere = [rule for found in rules.values() for rule in found]

    writing = [rule for rule in everywhere if set(rule["verbs"]) - {"get", "list", "watch"}]
    assert {(*rule["apiGroups"], *rule["resources"], *rule["verbs"]) for rule in writing} == {
        ("authentication.k8s.io", "tokenreviews", "create")
    }
    resources = {resource for rule in everywhere for resource in rule["resources"]}
    assert resources == {"tokenreviews", "accessgrants", "connections", "namespaces"}
    if namespaces:
        [cluster_wide] = rules[""]
        assert cluster_wide["resources"] == ["tokenreviews"]


def test_an_administrator_may_keep_the_one_right_on_the_cluster(helm):
    """A team that serves its own namespaces cannot create ClusterRoles."""
    values = {
        "broker": {"enabled": True, "clusterRole": {"create": False}},
        "operator": {"watchNamespace": ["red"]},
        "connections": {"credentials": {"red": ["token"]}},
        "rbac": {"aggregateRoles": False},
        "crds": {"enabled": False},
    }
    manifests = helm.render(values)

    assert not of_kind(manifests, "ClusterRole")
    assert len(rules_of_broker(manifests)["red"]) == 3


def test_two_releases_may_serve_one_namespace(helm):
    """Roles of both are in it, and must not take each other's place."""
    names = [
        {
            role["metadata"]["name"]
            for role in of_kind(helm.render(BROKER, namespace=namespace), "Role")
            if role["metadata"]["namespace"] == "team-a"
        }
        for namespace in ("one", "other")
    ]

    assert names[0]
    assert not names[0] & names[1]


def test_the_network_policy_lets_callers_in_and_the_broker_to_what_it_needs(helm):
    """The same ways out as the operator's, and one way in more."""
    manifests = helm.render(EVERYTHING)
    policies = {
        component: only(manifests, "NetworkPolicy", component=component) for component in ("operator", "broker")
    }

    assert policies["broker"]["spec"]["egress"] == policies["operator"]["spec"]["egress"]
    [calls, scrapes] = policies["broker"]["spec"]["ingress"]
    assert calls == {"ports": [{"port": "https"}], "from": EVERYTHING["networkPolicy"]["brokerFrom"]}
    assert policies["operator"]["spec"]["ingress"] == [scrapes]


def test_metrics_of_both_are_scraped(helm):
    """One monitor of Services finds both of them; one of pods names its component."""
    monitors = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    manifests = helm.render({**BROKER, "metrics": monitors})
    selected = {
        monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for monitor in of_kind(manifests, "PodMonitor")
    }
    services = [
        service["spec"]["selector"]["app.kubernetes.io/component"]
        for service in of_kind(manifests, "Service")
        if service["metadata"]["labels"]["app.kubernetes.io/component"] == "metrics"
    ]

    assert selected == set(services) == {"operator", "broker"}
    assert len(of_kind(manifests, "ServiceMonitor")) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (TRIAL, ["https://keyturn-broker.keyturn.svc", "create configmap -n default keyturn-ca"]),
        ({"broker": {"enabled": True}}, ["The Secret keyturn-broker-tls in", "The Secret onepassword-broker-token in"]),
        ({"broker": {"enabled": True, "service": {"port": 8443}}}, ["https://keyturn-broker.keyturn.svc:8443"]),
    ],
)
def test_the_notes_say_where_the_broker_is_and_what_it_lacks(helm, values, words):
    """A pod that waits for a Secret is not found out by looking at Helm's own output, unless that says it."""
    notes = helm("install", "keyturn", CHART, "--namespace=keyturn", "--dry-run=client", values=values).split("NOTES:")[
        1
    ]

    for each in words:
        assert each in notes
    assert "\n\n\n" not in notes
    assert not re.search(r"\{\{ *\}\}|<no value>", notes)


def test_names_of_long_releases_still_fit(helm):
    """A Service's name has 63 characters at most, and Helm allows 53 for a release's."""
    values = {**EVERYTHING, "operator": {**EVERYTHING["operator"], "applicationName": ""}}
    for manifest in helm.render(values, release="r" * 53):
        if manifest["kind"] == "Service":
            assert len(manifest["metadata"]["name"]) <= 63
