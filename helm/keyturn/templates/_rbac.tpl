{{/* Every RBAC rule of the operator, and its reason. tests/chart/test_chart_rights.py checks that the operator uses each of them. */}}

{{/* Rules for each namespace that the operator serves. */}}
{{- define "keyturn.rbacRules" -}}
# Requests: read them, and remove the finalizer of 1Password's operator.
- apiGroups: [onepassword.com]
  resources: [onepassworditems]
  verbs: [get, list, watch, patch]
- apiGroups: [keyturn.dev]
  resources: [keyturnsecrets]
  verbs: [get, list, watch]
# Connections: read them, and put the finalizer keyturn.dev/disconnect on those that ask for the deletion of Secrets.
- apiGroups: [keyturn.dev]
  resources: [connections]
  verbs: [get, list, watch, patch]
# AccessGrants: see whether what they name is found.
- apiGroups: [keyturn.dev]
  resources: [accessgrants]
  verbs: [list, watch]
# Status.
- apiGroups: [onepassword.com]
  resources: [onepassworditems/status]
  verbs: [patch]
- apiGroups: [keyturn.dev]
  resources: [keyturnsecrets/status, connections/status, accessgrants/status]
  verbs: [patch]
# Secrets. The operator lists and watches only the labels and annotations of its own Secrets, never data, and gets those that a Connection
# names; RBAC cannot express these limits. Kubernetes deletes a Secret together with its owner.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, {{ if not (include "keyturn.on" (list . .Values.operator.secretsByName)) }}list, watch, {{ end }}create, patch{{ if include "keyturn.on" (list . .Values.operator.deleteOnDisconnect) }}, delete{{ end }}]
# Workloads: find those that request a Secret by annotations or use a changed Secret, and restart them.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
# The restart switch on the namespace, and its labels if a Connection selects by them.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- if include "keyturn.on" (list . .Values.operator.refreshMounts) }}
# Pods: find those that mount a changed Secret, and annotate them so that the kubelet refreshes their files at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
{{- end }}
# Events.
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- range .Values.operator.restartKinds }}
# Workloads of a kind in operator.restartKinds.
- apiGroups: [{{ splitList "/" .apiVersion | first }}]
  resources: [{{ .resource }}]
  verbs: [get, list, patch]
{{- end }}
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Rules for the operator's own namespace: the Lease for leader election. */}}
{{- define "keyturn.leaseRbacRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "keyturn.name" . | quote }}]
  verbs: [get, patch]
{{- end -}}

{{/* Rules of the broker for the cluster: ask the API server whose token a caller has. */}}
{{- define "keyturn.brokerClusterRules" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end -}}

{{/* Rules of the broker for each namespace that it serves. It writes nothing, and knows no Secret and no workload. */}}
{{- define "keyturn.brokerRules" -}}
# What identities may read, and through which accounts.
- apiGroups: [keyturn.dev]
  resources: [accessgrants, connections]
  verbs: [list, watch]
# The labels of a namespace, if a Connection selects by them.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}

{{/* Rules of the broker for Secrets with credentials of Connections. Argument: their names. */}}
{{- define "keyturn.brokerCredentialRules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end -}}
