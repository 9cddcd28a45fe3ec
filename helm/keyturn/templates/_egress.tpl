{{/* Where pods of the operator and of the broker may connect to, as in a NetworkPolicy. */}}
{{- define "keyturn.egress" -}}
{{- with .Values.networkPolicy -}}
# DNS.
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
# The API server. It runs outside the pod network, so a pod selector does not match it.
- ports:
    {{- range .apiServerPorts }}
    - port: {{ . }}
    {{- end }}
  {{- with .apiServerTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if or (include "keyturn.connectHost" $) (include "keyturn.asAccount" $) }}
# {{ include "keyturn.asAccount" $ | empty | ternary "Connect" "1Password" }}.
- ports:
    - port: {{ include "keyturn.asAccount" $ | empty | ternary (include "keyturn.connectPort" $) "443" }}
  {{- with .connectTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with .extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}
