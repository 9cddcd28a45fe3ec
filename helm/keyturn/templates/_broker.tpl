{{/* Names, environment and arguments of the broker, and checks of its values. */}}

{{/* "true" if the release has a broker. */}}
{{- define "keyturn.brokers" -}}
{{- include "keyturn.on" (list . .Values.broker.enabled) -}}
{{- end -}}

{{/* Name of the broker's Deployment, of its Service, and of the objects that belong to them. */}}
{{- define "keyturn.broker" -}}
{{- printf "%s-broker" (include "keyturn.name" . | trunc 48 | trimSuffix "-") -}}
{{- end -}}

{{- define "keyturn.brokerAccount" -}}
{{- .Values.broker.serviceAccount.name | default (include "keyturn.broker" .) -}}
{{- end -}}

{{- define "keyturn.brokerClusterRole" -}}
{{- printf "%s-broker" (include "keyturn.clusterWideName" .) -}}
{{- end -}}

{{/* Address of the broker for pods of the cluster. */}}
{{- define "keyturn.brokerUrl" -}}
{{- $port := int .Values.broker.service.port -}}
https://{{ include "keyturn.broker" . }}.{{ .Release.Namespace }}.svc{{ if ne $port 443 }}:{{ $port }}{{ end }}
{{- end -}}

{{/* Names by which the broker is called, as a JSON list. */}}
{{- define "keyturn.brokerHosts" -}}
{{- $name := include "keyturn.broker" . -}}
{{- $full := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- concat (list $full (printf "%s.cluster.local" $full) (printf "%s.%s" $name .Release.Namespace) $name) .Values.broker.tls.dnsNames | uniq | toJson -}}
{{- end -}}

{{/* Secret with the broker's certificate and key. */}}
{{- define "keyturn.brokerCertificate" -}}
{{- .Values.broker.tls.secret | default (printf "%s-tls" (include "keyturn.broker" .)) -}}
{{- end -}}

{{- define "keyturn.certifies" -}}
{{- include "keyturn.on" (list . .Values.broker.tls.certManager.enabled) -}}
{{- end -}}

{{/* "true" if the chart makes a certificate itself, which is good for nothing but a trial: its key stays in Helm's history. */}}
{{- define "keyturn.signsItself" -}}
{{- if and (include "keyturn.emulated" .) (not .Values.broker.tls.secret) (not (include "keyturn.certifies" .)) -}}true{{- end -}}
{{- end -}}

{{/* What the broker's connection authenticates with: name, key and value of a Secret, as JSON. */}}
{{- define "keyturn.brokerToken" -}}
{{- if include "keyturn.emulated" . -}}
{{- dict "name" (printf "%s-broker-token" (include "keyturn.emulator" .)) "key" "token" "value" "" | toJson -}}
{{- else -}}
{{- include "keyturn.asAccount" . | empty | ternary .Values.broker.token .Values.broker.serviceAccountToken | toJson -}}
{{- end -}}
{{- end -}}

{{/* Secrets with credentials of Connections: their names by namespace, as JSON. */}}
{{- define "keyturn.credentials" -}}
{{- $watched := include "keyturn.watched" . | fromJsonArray -}}
{{- $credentials := dict -}}
{{- range $namespace, $secrets := .Values.connections.credentials -}}
{{- if and $secrets (or (not $watched) (has $namespace $watched)) -}}
{{- $_ := set $credentials $namespace ($secrets | uniq | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- $credentials | toJson -}}
{{- end -}}

{{- define "keyturn.brokerEnvironment" -}}
{{- include "keyturn.connectionEnvironment" . }}
- name: WATCH_NAMESPACE
  value: {{ include "keyturn.watched" . | fromJsonArray | join "," | quote }}
{{- with include "keyturn.pollingInterval" . }}
- name: POLLING_INTERVAL
  value: {{ quote . }}
{{- end }}
- name: KEYTURN_FULL_PASS_INTERVAL
  value: {{ .Values.operator.fullPassInterval | int64 | quote }}
{{- with .Values.connections.allowedHosts }}
- name: KEYTURN_ALLOWED_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- with include "keyturn.installation" . }}
- name: KEYTURN_INSTALLATION
  value: {{ quote . }}
{{- end }}
- name: KEYTURN_AUDIT_FILE
  value: {{ .Values.broker.auditFile | quote }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- with .Values.broker.customEnvVars }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "keyturn.brokerArguments" -}}
- broker
- --bind-address=:{{ int .Values.broker.port }}
- --tls-cert-file=/etc/keyturn/tls/tls.crt
- --tls-private-key-file=/etc/keyturn/tls/tls.key
- --health-probe-bind-address=:{{ int .Values.operator.probes.port }}
- --metrics-bind-address={{ with int .Values.metrics.port }}:{{ . }}{{ else }}0{{ end }}
- --log-level={{ .Values.operator.logLevel }}
- --log-format={{ .Values.operator.logFormat }}
{{- range .Values.broker.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Fails the rendering if values of the broker contradict each other. */}}
{{- define "keyturn.checkBroker" -}}
{{- $broker := .Values.broker -}}
{{- $ports := list (int $broker.port) (int .Values.operator.probes.port) -}}
{{- with int .Values.metrics.port -}}{{- $ports = append $ports . -}}{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- fail "broker.port: must be another than operator.probes.port and metrics.port" -}}
{{- end -}}
{{- if and (include "keyturn.certifies" .) (not $broker.tls.certManager.issuerRef.name) -}}
{{- fail "broker.tls.certManager.issuerRef.name: cert-manager needs the name of an issuer" -}}
{{- end -}}
{{- $token := include "keyturn.asAccount" . | empty | ternary "token" "serviceAccountToken" -}}
{{- with (index $broker $token).value -}}
{{- if include "keyturn.emulated" $ -}}
{{- fail "broker.token.value: with emulator.enabled, the broker uses a token of the emulator; leave it out" -}}
{{- end -}}
{{- if eq (index $broker $token).name (include "keyturn.token" $ | fromJson).name -}}
{{- fail (printf "broker.%s.name: must be another than operator.%s.name, since both Secrets would be written" $token $token) -}}
{{- end -}}
{{- end -}}
{{- $names := include "keyturn.pollingInterval" . | empty | ternary (list "POLLING_INTERVAL") list -}}
{{- range include "keyturn.brokerEnvironment" . | fromYamlArray -}}
{{- if has .name $names -}}
{{- fail (printf "broker.customEnvVars: the chart already sets %s; use the chart value for it" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range $namespace, $_ := .Values.connections.credentials -}}
{{- with include "keyturn.watched" $ | fromJsonArray -}}
{{- if not (has $namespace .) -}}
{{- fail (printf "connections.credentials: the namespace %s is not one of operator.watchNamespace" $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
