{{/* What a pod needs for the installation's own connection: variables, and its credential and certificates as files. */}}

{{- define "keyturn.connectionEnvironment" -}}
{{- $trust := .Values.operator.tls.trust -}}
{{- with include "keyturn.connectHost" . -}}
- name: OP_CONNECT_HOST
  value: {{ . | quote }}
- name: OP_CONNECT_TOKEN_FILE
  value: /etc/keyturn/connect/token
{{- if or $trust.secret $trust.configMap }}
- name: OP_CONNECT_CA_FILE
  value: /etc/keyturn/trust/ca.crt
{{- end }}
{{- end }}
{{- if include "keyturn.asAccount" . -}}
- name: OP_SERVICE_ACCOUNT_TOKEN_FILE
  value: /etc/keyturn/onepassword/token
{{- if or $trust.secret $trust.configMap }}
- name: SSL_CERT_FILE
  value: /etc/keyturn/trust/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* "true" if the installation has a connection of its own. */}}
{{- define "keyturn.connected" -}}
{{- if or (include "keyturn.connectHost" .) (include "keyturn.asAccount" .) -}}true{{- end -}}
{{- end -}}

{{- define "keyturn.credentialFolder" -}}
{{- include "keyturn.asAccount" . | empty | ternary "connect" "onepassword" -}}
{{- end -}}

{{- define "keyturn.connectionMounts" -}}
{{- $trust := .Values.operator.tls.trust -}}
{{- if include "keyturn.connected" . -}}
# Mounted as a directory: with a subPath, a new token would not reach a running pod.
- name: {{ include "keyturn.credentialFolder" . }}
  mountPath: /etc/keyturn/{{ include "keyturn.credentialFolder" . }}
  readOnly: true
{{- if or $trust.secret $trust.configMap }}
- name: trust
  mountPath: /etc/keyturn/trust
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{/* Arguments: the root context, and the name and key of the Secret with the credential. */}}
{{- define "keyturn.connectionVolumes" -}}
{{- $root := index . 0 -}}
{{- $token := index . 1 -}}
{{- if include "keyturn.connected" $root -}}
- name: {{ include "keyturn.credentialFolder" $root }}
  secret:
    secretName: {{ $token.name }}
    # Without the Secret the process starts, and its log says what is missing. Otherwise the pod would have no log at all.
    optional: true
    items:
      - key: {{ $token.key }}
        path: token
{{- with $root.Values.operator.tls.trust }}
{{- if .secret }}
- name: trust
  secret:
    secretName: {{ .secret }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- else if .configMap }}
- name: trust
  configMap:
    name: {{ .configMap }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
