{{/* Environment and arguments of the operator, and checks of the values. */}}

{{/* "true" if a switch is on. Some defaults of 1Password's chart are templates, and values files copy them, so this renders the value. */}}
{{- define "keyturn.on" -}}
{{- $root := index . 0 -}}
{{- if eq (tpl (toString (index . 1)) $root) "true" -}}true{{- end -}}
{{- end -}}

{{/* Namespaces to serve, as a JSON list. Its entries may be templates, as in 1Password's chart. */}}
{{- define "keyturn.watched" -}}
{{- $watched := list -}}
{{- range .Values.operator.watchNamespace -}}
{{- $watched = append $watched (tpl . $) -}}
{{- end -}}
{{- $watched | uniq | toJson -}}
{{- end -}}

{{/* "true" if whoever names a Connection needs the right to use it. */}}
{{- define "keyturn.asksForUse" -}}
{{- $enabled := .Values.connections.usePolicy.enabled -}}
{{- if kindIs "invalid" $enabled -}}
{{- $enabled = .Values.crds.enabled -}}
{{- end -}}
{{- include "keyturn.on" (list . $enabled) -}}
{{- end -}}

{{/* "true" if whoever writes an AccessGrant needs the right to what it grants. */}}
{{- define "keyturn.guardsGrants" -}}
{{- $enabled := .Values.accessGrants.policy.enabled -}}
{{- if kindIs "invalid" $enabled -}}
{{- $enabled = .Values.crds.enabled -}}
{{- end -}}
{{- include "keyturn.on" (list . $enabled) -}}
{{- end -}}

{{- define "keyturn.elects" -}}
{{- $enabled := .Values.operator.leaderElection.enabled -}}
{{- if kindIs "invalid" $enabled -}}
{{- $enabled = gt (int .Values.operator.replicas) 1 -}}
{{- end -}}
{{- include "keyturn.on" (list . $enabled) -}}
{{- end -}}

{{/* "true" if the operator reads from the emulator of this release. */}}
{{- define "keyturn.emulated" -}}
{{- include "keyturn.on" (list . .Values.emulator.enabled) -}}
{{- end -}}

{{/* "true" if the installation's own connection is a 1Password service account. */}}
{{- define "keyturn.asAccount" -}}
{{- if eq .Values.operator.authMethod "service-account" -}}true{{- end -}}
{{- end -}}

{{/* Address of the Connect server; empty if the installation's own connection is none, or if it has no connection of its own. */}}
{{- define "keyturn.connectHost" -}}
{{- $connect := .Values.connect -}}
{{- if include "keyturn.emulated" . -}}
http://{{ include "keyturn.emulator" . }}:8080
{{- else if or (not $connect.host) (include "keyturn.asAccount" .) -}}
{{- else if contains "://" $connect.host -}}
{{ $connect.host }}
{{- else if include "keyturn.on" (list . $connect.tls.enabled) -}}
https://{{ $connect.host }}:{{ $connect.api.httpsPort }}
{{- else -}}
http://{{ $connect.host }}:{{ $connect.api.httpPort }}
{{- end -}}
{{- end -}}

{{/* Port of the Connect server. */}}
{{- define "keyturn.connectPort" -}}
{{- $host := include "keyturn.connectHost" . -}}
{{- $authority := (urlParse $host).host -}}
{{- regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (hasPrefix "https:" $host | ternary "443" "80") -}}
{{- end -}}

{{/* What the installation's own connection authenticates with: name, key and value of a Secret, as JSON. */}}
{{- define "keyturn.token" -}}
{{- if include "keyturn.emulated" . -}}
{{- dict "name" (printf "%s-token" (include "keyturn.emulator" .)) "key" "token" "value" "" | toJson -}}
{{- else -}}
{{- include "keyturn.asAccount" . | empty | ternary .Values.operator.token .Values.operator.serviceAccountToken | toJson -}}
{{- end -}}
{{- end -}}

{{/* Seconds between two polls; empty for the operator's own default. A trial asks only its own emulator, so there it may be short. */}}
{{- define "keyturn.pollingInterval" -}}
{{- with .Values.operator.pollingInterval | default (include "keyturn.emulated" . | empty | ternary nil 5) -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{/* Name of this installation in its requests to Connect; empty if nobody looks for it. */}}
{{- define "keyturn.installation" -}}
{{- with .Values.activityExport.installation -}}
{{ . }}
{{- else -}}
{{- if include "keyturn.on" (list . .Values.activityExport.enabled) -}}
{{ .Release.Namespace }}/{{ include "keyturn.name" . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.environment" -}}
{{- $operator := .Values.operator -}}
{{- include "keyturn.connectionEnvironment" . }}
- name: WATCH_NAMESPACE
  value: {{ include "keyturn.watched" . | fromJsonArray | join "," | quote }}
{{- with include "keyturn.pollingInterval" . }}
- name: POLLING_INTERVAL
  value: {{ quote . }}
{{- end }}
- name: AUTO_RESTART
  value: {{ include "keyturn.on" (list . $operator.autoRestart) | default "false" | quote }}
- name: KEYTURN_FULL_PASS_INTERVAL
  value: {{ $operator.fullPassInterval | int64 | quote }}
- name: KEYTURN_MAX_STALENESS
  value: {{ $operator.maxStaleness | int64 | quote }}
{{- if include "keyturn.on" (list . $operator.refreshMounts) }}
- name: KEYTURN_REFRESH_MOUNTS
  value: "true"
{{- end }}
{{- if include "keyturn.on" (list . $operator.secretsByName) }}
- name: KEYTURN_SECRETS_BY_NAME
  value: "true"
{{- end }}
{{- with .Values.connections.allowedHosts }}
- name: KEYTURN_ALLOWED_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- if include "keyturn.on" (list . $operator.deleteOnDisconnect) }}
- name: KEYTURN_DELETE_ON_DISCONNECT
  value: "true"
{{- end }}
{{- if include "keyturn.on" (list . .Values.activityExport.enabled) }}
- name: KEYTURN_ACTIVITY_EXPORT
  value: "true"
- name: KEYTURN_AUDIT_FILE
  value: {{ .Values.activityExport.file | quote }}
{{- end }}
{{- with include "keyturn.installation" . }}
- name: KEYTURN_INSTALLATION
  value: {{ quote . }}
{{- end }}
{{- with $operator.restartKinds }}
{{- $kinds := list }}
{{- range . }}
{{- $kinds = append $kinds (printf "%s/%s%s" .apiVersion .kind (empty .template | ternary "" (printf "=%s" .template))) }}
{{- end }}
- name: KEYTURN_RESTART_KINDS
  value: {{ join "," $kinds | quote }}
{{- end }}
- name: KEYTURN_WORKERS
  value: {{ $operator.workers | int64 | quote }}
{{- if include "keyturn.elects" . }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: KEYTURN_LEASE_NAME
  value: {{ include "keyturn.name" . | quote }}
- name: KEYTURN_LEASE_DURATION
  value: {{ $operator.leaderElection.leaseDuration | int64 | quote }}
{{- end }}
{{- with $operator.customEnvVars }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "keyturn.arguments" -}}
{{- $operator := .Values.operator -}}
- operator
- --health-probe-bind-address=:{{ int $operator.probes.port }}
- --metrics-bind-address={{ with int .Values.metrics.port }}:{{ . }}{{ else }}0{{ end }}
- --log-level={{ $operator.logLevel }}
- --log-format={{ $operator.logFormat }}
{{- if include "keyturn.on" (list . $operator.enableAnnotations) }}
- --enable-annotations
{{- end }}
{{- if include "keyturn.on" (list . $operator.allowEmptyValues) }}
- --allow-empty-values
{{- end }}
{{- if include "keyturn.elects" . }}
- --leader-elect
{{- end }}
{{- range $operator.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Fails the rendering if values contradict each other, or require something that Keyturn does not support. */}}
{{- define "keyturn.check" -}}
{{- include "keyturn.checkValues" . -}}
{{- $operator := .Values.operator -}}
{{- if and (hasKey $operator "create") (not (include "keyturn.on" (list . $operator.create))) -}}
{{- fail "operator.create: this chart is the operator; leave it out, or set it to true" -}}
{{- end -}}
{{- if include "keyturn.asAccount" . -}}
{{- if include "keyturn.emulated" . -}}
{{- fail "operator.authMethod: with emulator.enabled, the operator reads from the emulator; leave it out" -}}
{{- end -}}
{{- if and $operator.pollingInterval (lt (int64 $operator.pollingInterval) 600) -}}
{{- fail "operator.pollingInterval: must be at least 600 with operator.authMethod=service-account, since 1Password limits the requests of an account per day" -}}
{{- end -}}
{{- end -}}
{{- if and $operator.tls.trust.secret $operator.tls.trust.configMap -}}
{{- fail "operator.tls.trust: set secret or configMap, not both" -}}
{{- end -}}
{{- if and (gt (int $operator.replicas) 1) (not (include "keyturn.elects" .)) -}}
{{- fail "operator.leaderElection.enabled: more than one replica needs it" -}}
{{- end -}}
{{- /* A value of the chart also decides about the variable that it leaves out. */ -}}
{{- $names := include "keyturn.pollingInterval" . | empty | ternary (list "POLLING_INTERVAL") list -}}
{{- range include "keyturn.environment" . | fromYamlArray -}}
{{- if has .name $names -}}
{{- fail (printf "operator.customEnvVars: the chart already sets %s; use the chart value for it" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if and $operator.token.value (include "keyturn.emulated" .) -}}
{{- fail "operator.token.value: with emulator.enabled, the operator uses the emulator's token; leave it out" -}}
{{- end -}}
{{- end -}}

{{/* Keys that are set and have no effect in this chart, as a JSON list. */}}
{{- define "keyturn.ignored" -}}
{{- $ignored := list -}}
{{- range $key := keys .Values.connect | sortAlpha -}}
{{- if not (has $key (list "host" "api" "tls")) -}}
{{- $ignored = append $ignored (printf "connect.%s" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "hpa" "imageRepository" "version" -}}
{{- if hasKey $.Values.operator $key -}}
{{- $ignored = append $ignored (printf "operator.%s" $key) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .Values "acceptanceTests" -}}
{{- $ignored = append $ignored "acceptanceTests" -}}
{{- end -}}
{{- $ignored | toJson -}}
{{- end -}}
