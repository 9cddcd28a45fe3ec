"""Values of the chart that its tests render: the main combinations, and a file of 1Password's chart."""

from typing import Any

Json = dict[str, Any]

NAMESPACED: Json = {
    "connect": {"host": "https://connect.example.com"},
    "operator": {"watchNamespace": ["red", "blue"]},
    "rbac": {"aggregateRoles": False},
    "crds": {"enabled": False},
}

AVAILABLE: Json = {
    "operator": {
        "replicas": 2,
        "pdb": {"enabled": True},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    },
}

TRIAL: Json = {"emulator": {"enabled": True}, "operator": {"pollingInterval": 5}}

_RELABELLED: Json = {
    "relabelings": [{"targetLabel": "cluster", "replacement": "one"}],
    "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "process_.*", "action": "drop"}],
}

BROKER: Json = {
    "broker": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "metrics": {"service": {"enabled": True}},
    "connections": {"credentials": {"team-a": ["connect-token", "connect-ca"]}},
}

EVERYTHING: Json = {
    "commonLabels": {"team": "platform"},
    "image": {"repository": "registry.example.com/keyturn", "digest": f"sha256:{'0' * 64}"},
    "connect": {"host": "connect.onepassword.svc", "tls": {"enabled": True}},
    "operator": {
        "applicationName": "secrets",
        "replicas": 3,
        "autoRestart": True,
        "refreshMounts": True,
        "deleteOnDisconnect": True,
        "restartKinds": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "resource": "rollouts"},
            {"apiVersion": "example.com/v1", "kind": "Thing", "resource": "things", "template": "spec.pod"},
        ],
        "pollingInterval": 30,
        "enableAnnotations": True,
        "allowEmptyValues": True,
        "logLevel": "debug",
        "logFormat": "json",
        "token": {"name": "connect-token", "key": "jwt", "value": "canary-token"},
        "tls": {"trust": {"configMap": "company-ca", "key": "ca.pem"}},
        "customEnvVars": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "imagePullSecrets": ["registry", {"name": "mirror"}],
        "serviceAccount": {"annotations": {"example.com/role": "reader"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "control-plane", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["connect.example.com"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.2"]},
        "revisionHistoryLimit": 3,
        "annotations": {"example.com/a": "1"},
        "labels": {"example.com/b": "2"},
        "podAnnotations": {"example.com/c": "3"},
        "podLabels": {"example.com/d": "4"},
        "pdb": {"enabled": True, "maxUnavailable": 0, "minAvailable": 1},
    },
    "broker": {
        "enabled": True,
        "replicas": 3,
        "port": 9443,
        "service": {"type": "LoadBalancer", "port": 8443, "annotations": {"example.com/e": "5"}},
        "tls": {
            "secret": "broker-certificate",
            "dnsNames": ["broker.example.com"],
            "certManager": {"enabled": True, "issuerRef": {"name": "company-ca", "kind": "ClusterIssuer"}},
        },
        "token": {"name": "broker-token", "key": "jwt", "value": "canary-token"},
        "auditFile": "/audit/records.jsonl",
        "customEnvVars": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
        "extraArgs": ["--log-level=warning"],
        "extraVolumes": [{"name": "audit", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "audit", "mountPath": "/audit"}],
        "serviceAccount": {"annotations": {"example.com/role": "broker"}},
        "affinity": {"podAntiAffinity": {}},
        "podAnnotations": {"example.com/f": "6"},
        "podLabels": {"example.com/g": "7"},
        "pdb": {"maxUnavailable": "50%"},
    },
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "30s", **_RELABELLED},
        "podMonitor": {"enabled": True, "interval": "1m", **_RELABELLED},
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "alertLabels": {"team": "platform"},
            "runbookUrl": "https://wiki.example.com/keyturn",
        },
    },
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "apiServerTo": [{"ipBlock": {"cidr": "192.0.2.3/32"}}],
        "connectTo": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "onepassword"}}}],
        "extraEgress": [{"ports": [{"port": 3128}]}],
        "brokerFrom": [{"namespaceSelector": {"matchLabels": {"example.com/callers": "true"}}}],
    },
    "rbac": {"extraRules": [{"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}]},
    "connections": {
        "allowedHosts": ["onepassword-connect.onepassword.svc:8080", "vault.example.com"],
        "credentials": {"team-a": ["connect-token"], "team-b": ["account", "account-ca"]},
    },
    "activityExport": {"enabled": True, "file": "/more/audit.jsonl"},
    "vaultPolicy": {"enabled": True, "default": ["Shared"]},
}

SERVICE_ACCOUNT: Json = {
    "operator": {
        "authMethod": "service-account",
        "serviceAccountToken": {"name": "robot", "key": "ops", "value": "canary-token"},
        "tls": {"trust": {"secret": "proxy-ca"}},
    },
    "networkPolicy": {"enabled": True},
}

COMBINATIONS = {
    "default": {},
    "namespaced": NAMESPACED,
    "available": AVAILABLE,
    "trial": TRIAL,
    "service-account": SERVICE_ACCOUNT,
    "broker": BROKER,
    "everything": EVERYTHING,
}

_SCHEDULING: Json = {"nodeSelector": {}, "affinity": {}, "tolerations": [], "priorityClassName": ""}

OFFICIAL: Json = {
    "commonLabels": {},
    "connect": {
        "create": True,
        "replicas": 1,
        "applicationName": "onepassword-connect",
        "host": "onepassword-connect",
        "api": {"name": "connect-api", "httpPort": 8080, "httpsPort": 8443, "logLevel": "info"},
        "sync": {"name": "connect-sync", "httpPort": 8081},
        "tls": {"enabled": False, "secret": "op-connect-tls"},
        "credentialsName": "op-credentials",
        "credentialsKey": "1password-credentials.json",
    },
    "operator": {
        "create": True,
        "authMethod": "connect",
        "replicas": 1,
        "autoRestart": True,
        "applicationName": "onepassword-connect-operator",
        "imageRepository": "docker.io/1password/onepassword-operator",
        "version": "1.12.0",
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": [],
        "pollingInterval": 10,
        "watchNamespace": ["{{ .Release.Namespace }}", "apps"],
        "logLevel": "info",
        "enableAnnotations": False,
        "allowEmptyValues": False,
        "customEnvVars": [{"name": "CUSTOM", "value": "1"}],
        "tls": {"trust": {"secret": "company-ca"}},
        "token": {"name": "onepassword-token", "key": "token", "value": None},
        "serviceAccountToken": {"name": "onepassword-service-account-token", "key": "token", "value": None},
        "serviceAccount": {
            "create": "{{ .Values.operator.create }}",
            "annotations": {},
            "name": "onepassword-connect-operator",
        },
        "clusterRole": {"create": "{{ .Values.operator.create }}", "name": "onepassword-connect-operator"},
        "clusterRoleBinding": {"create": "{{ .Values.operator.create }}", "name": "onepassword-connect-operator"},
        "roleBinding": {"create": "{{ .Values.operator.create }}", "name": "onepassword-connect-operator"},
        "resources": {},
        "podSecurityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **_SCHEDULING,
        "annotations": {},
        "labels": {},
        "podAnnotations": {},
        "podLabels": {},
        "hpa": {"enabled": False, "minReplicas": 1, "maxReplicas": 3},
        "pdb": {"enabled": False, "annotations": {}, "maxUnavailable": 1, "minAvailable": 0},
        "probes": {
            "port": 8081,
            "liveness": {"create": True, "failureThreshold": 3, "periodSeconds": 20, "initialDelaySeconds": 15},
            "readiness": {"create": True, "initialDelaySeconds": 5, "periodSeconds": 10},
        },
    },
    "acceptanceTests": {"enabled": False, "fixtures": {}},
}
"""A whole values file of 1Password's chart `connect` 2.4.1 as its users have it, defaults and a few choices of theirs."""
