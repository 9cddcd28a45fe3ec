{{/* Every right that the operator has, and why. tests/chart/test_chart_rights.py finds out which of them it uses. */}}

{{/* In each namespace that it serves. */}}
{{- define "keyturn.rights" -}}
# What is asked for, and the finalizer of 1Password's operator, which is taken away.
- apiGroups: [onepassword.com]
  resources: [onepassworditems]
  verbs: [get, list, watch, patch]
# What became of it.
- apiGroups: [onepassword.com]
  resources: [onepassworditems/status]
  verbs: [patch]
# What is made of it. Listed and watched are labels and annotations of Keyturn's own Secrets only, never data; but a right cannot
# say so. Deleted they are by Kubernetes, when the object that owns them is.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, {{ if not .Values.operator.secretsByName }}list, watch, {{ end }}create, patch]
# Which workloads ask for Secrets by annotations, who uses a Secret that changed, and its restart.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
# Whether the workloads of a namespace are to be restarted.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- if .Values.operator.refreshMounts }}
# Which running pods show files of a Secret that changed, and the annotation that has the kubelet look at them at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
{{- end }}
# The news.
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- range .Values.operator.restartKinds }}
# The same, for a kind that somebody named.
- apiGroups: [{{ splitList "/" .apiVersion | first }}]
  resources: [{{ .resource }}]
  verbs: [get, list, patch]
{{- end }}
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* In its own namespace, for settling which of several pods works. */}}
{{- define "keyturn.leaseRights" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "keyturn.name" . | quote }}]
  verbs: [get, patch]
{{- end -}}
