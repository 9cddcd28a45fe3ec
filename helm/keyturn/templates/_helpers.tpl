{{/* Names and labels of every object in the chart. */}}

{{/* Name of the operator's Deployment and of the objects that belong to it. */}}
{{- define "keyturn.name" -}}
{{- if .Values.operator.applicationName -}}
{{- .Values.operator.applicationName -}}
{{- else if contains "keyturn" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-keyturn" (.Release.Name | trunc 42 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* The same for cluster-wide objects, with the namespace in front, so that two releases do not share them. */}}
{{- define "keyturn.clusterWideName" -}}
{{- printf "%s-%s" .Release.Namespace (include "keyturn.name" .) -}}
{{- end -}}

{{- define "keyturn.serviceAccount" -}}
{{- .Values.operator.serviceAccount.name | default (include "keyturn.name" .) -}}
{{- end -}}

{{- define "keyturn.clusterRole" -}}
{{- .Values.operator.clusterRole.name | default (include "keyturn.clusterWideName" .) -}}
{{- end -}}

{{- define "keyturn.emulator" -}}
{{- printf "%s-emulator" (include "keyturn.name" .) -}}
{{- end -}}

{{/* Labels that select the pods of a component. Arguments: the root context and the component. */}}
{{- define "keyturn.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of every object. Arguments: the root context and the component. */}}
{{- define "keyturn.labels" -}}
{{- $root := index . 0 -}}
{{ include "keyturn.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata without the name. Arguments: the root context and the component. */}}
{{- define "keyturn.metadata" -}}
namespace: {{ (index . 0).Release.Namespace }}
labels: {{- include "keyturn.labels" . | nindent 2 }}
{{- end -}}

{{- define "keyturn.image" -}}
{{- include "keyturn.imageOf" (list . .Values.image.repository .Values.image) -}}
{{- end -}}

{{/* Image of the emulator; by default, its repository is that of the operator with "-emulator" appended. */}}
{{- define "keyturn.emulatorImage" -}}
{{- $image := .Values.emulator.image -}}
{{- $repository := $image.repository | default (printf "%s-emulator" .Values.image.repository) -}}
{{- include "keyturn.imageOf" (list . $repository $image) -}}
{{- end -}}

{{/* Image reference. Arguments: the root context, a repository, and values with tag and digest. */}}
{{- define "keyturn.imageOf" -}}
{{- $image := index . 2 -}}
{{- if $image.digest -}}
{{ index . 1 }}@{{ $image.digest }}
{{- else -}}
{{ index . 1 }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "keyturn.imagePullSecrets" -}}
{{- with .Values.operator.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - {{ kindIs "string" . | ternary (dict "name" .) . | toJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Node placement of all pods. */}}
{{- define "keyturn.nodes" -}}
{{- with .Values.operator.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
