{{/*
Checks of single values that the schema would refuse with a regular expression as its reason, or would have to refuse although they mean
the same: numbers and switches in quotes. tests/chart/test_chart_refusals.py compares these lists with the schema.
*/}}

{{/* Whole numbers, which may be in quotes: the smallest, and the largest if there is one. */}}
{{- define "keyturn.numbers" -}}
broker.port: [1, 65535]
broker.replicas: [1]
broker.service.port: [1, 65535]
connect.api.httpPort: [1, 65535]
connect.api.httpsPort: [1, 65535]
metrics.port: [0, 65535]
operator.fullPassInterval: [1]
operator.leaderElection.leaseDuration: [5, 300]
operator.maxStaleness: [1]
operator.pollingInterval: [1]
operator.probes.liveness.failureThreshold: [1]
operator.probes.liveness.initialDelaySeconds: [0]
operator.probes.liveness.periodSeconds: [1]
operator.probes.port: [1, 65535]
operator.probes.readiness.initialDelaySeconds: [0]
operator.probes.readiness.periodSeconds: [1]
operator.replicas: [1]
operator.revisionHistoryLimit: [0]
operator.workers: [1, 100]
{{- end -}}

{{/* Switches, which may be in quotes. */}}
{{- define "keyturn.switches" -}}
- activityExport.enabled
- broker.clusterRole.create
- broker.enabled
- broker.pdb.enabled
- broker.serviceAccount.create
- broker.tls.certManager.enabled
- connect.tls.enabled
- crds.enabled
- emulator.enabled
- metrics.podMonitor.enabled
- metrics.prometheusRule.enabled
- metrics.service.enabled
- metrics.serviceMonitor.enabled
- networkPolicy.enabled
- operator.allowEmptyValues
- operator.autoRestart
- operator.clusterRole.create
- operator.clusterRoleBinding.create
- operator.deleteOnDisconnect
- operator.enableAnnotations
- operator.pdb.enabled
- operator.probes.liveness.create
- operator.probes.readiness.create
- operator.refreshMounts
- operator.roleBinding.create
- operator.secretsByName
- operator.serviceAccount.create
- rbac.aggregateRoles
- vaultPolicy.enabled
{{- end -}}

{{/* Texts of a certain form, and what to say of those that have another. */}}
{{- define "keyturn.texts" -}}
{{- $name := "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$" -}}
{{- $named := "must be the name of an object: lower-case letters, digits, \"-\" and \".\"" -}}
{{- $digest := list "^(sha256:[0-9a-f]{64})?$" "must be sha256: followed by 64 hexadecimal digits; for a tag, set tag instead" -}}
{{- $interval := list "^([0-9]+(ms|s|m|h))*$" "must be a duration of Prometheus, such as 30s or 1m" -}}
{{- $required := list "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" $named -}}
{{- $duration := list "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$" "must be a duration, such as 720h or 90m" -}}
{{- dict
  "activityExport.installation" (list "^[A-Za-z0-9._/-]{0,130}$" "must have at most 130 letters, digits, \".\", \"-\", \"_\" and \"/\"")
  "accessGrants.maxDuration" $duration
  "broker.serviceAccount.name" (list $name $named)
  "broker.serviceAccountToken.name" $required
  "broker.tls.certManager.issuerRef.name" (list $name $named)
  "broker.tls.secret" (list $name $named)
  "broker.token.name" $required
  "connect.host" (list "^(https?://[^/?#]+.*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?|)$" "must be the name of a Service, such as onepassword-connect, or a URL, such as https://connect.example.com:8080; to set only the port, use connect.api.httpPort")
  "emulator.image.digest" $digest
  "image.digest" $digest
  "metrics.podMonitor.interval" $interval
  "metrics.serviceMonitor.interval" $interval
  "operator.applicationName" (list $name $named)
  "operator.logFormat" (list "^(console|json)$" "must be console or json")
  "operator.logLevel" (list "^(debug|info|warning|error)$" "must be debug, info, warning or error")
  "operator.serviceAccount.name" (list $name $named)
  "operator.tls.trust.configMap" (list $name $named)
  "operator.tls.trust.secret" (list $name $named)
  "operator.authMethod" (list "^(connect|service-account)$" "must be connect or service-account")
  "operator.serviceAccountToken.name" $required
  "operator.token.name" $required
| toJson -}}
{{- end -}}

{{/* Fails the rendering at the first value that is not of its form. */}}
{{- define "keyturn.checkValues" -}}
{{- range $path, $limits := include "keyturn.numbers" . | fromYaml -}}
{{- $value := include "keyturn.valueAt" (list $ $path) -}}
{{- $range := printf "a whole number from %d" (first $limits | int64) -}}
{{- if gt (len $limits) 1 -}}{{- $range = printf "%s to %d" $range (last $limits | int64) -}}{{- end -}}
{{- if and (eq $value "") (ne $path "operator.pollingInterval") -}}
{{- fail (printf "%s: null removes the default, and the operator needs %s; leave the key out to keep the default" $path $range) -}}
{{- end -}}
{{- if and (ne $value "") (not (regexMatch "^(0|[1-9][0-9]{0,17})$" $value)) -}}
{{- fail (printf "%s: %q must be %s" $path $value $range) -}}
{{- end -}}
{{- if and (ne $value "") (or (lt (int64 $value) (first $limits | int64)) (and (gt (len $limits) 1) (gt (int64 $value) (last $limits | int64)))) -}}
{{- fail (printf "%s: %q must be %s" $path $value $range) -}}
{{- end -}}
{{- end -}}
{{- range $path := include "keyturn.switches" . | fromYamlArray -}}
{{- $value := include "keyturn.valueAt" (list $ $path) -}}
{{- if eq $value "" -}}
{{- fail (printf "%s: null removes the default; leave the key out to keep the default, or set true or false" $path) -}}
{{- end -}}
{{- if not (has (tpl $value $) (list "true" "false")) -}}
{{- fail (printf "%s: %q must be true or false" $path $value) -}}
{{- end -}}
{{- end -}}
{{- range $path, $form := include "keyturn.texts" . | fromJson -}}
{{- $value := include "keyturn.valueAt" (list $ $path) -}}
{{- if not (regexMatch (first $form) $value) -}}
{{- fail (printf "%s: %q %s" $path $value (last $form)) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^https?://.*/v1/?$" .Values.connect.host -}}
{{- fail "connect.host: leave out /v1; the operator appends it" -}}
{{- end -}}
{{- range $index, $namespace := .Values.operator.watchNamespace -}}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?|.*\\{\\{.*\\}\\}.*)$" $namespace) -}}
{{- fail (printf "operator.watchNamespace: entry %d, %q, must be the name of one namespace: lower-case letters, digits and \"-\"" $index $namespace) -}}
{{- end -}}
{{- end -}}
{{- range $index, $host := .Values.connections.allowedHosts -}}
{{- if not (regexMatch "^([-a-zA-Z0-9._]+(:[0-9]{1,5})?|\\[[0-9a-fA-F:.]+\\](:[0-9]{1,5})?|[0-9a-fA-F]*:[0-9a-fA-F:.]+:[0-9a-fA-F:.]*)$" $host) -}}
{{- fail (printf "connections.allowedHosts: entry %d, %q, must be a host or host:port, such as connect.example.com:8443" $index $host) -}}
{{- end -}}
{{- end -}}
{{- range $namespace, $secrets := .Values.connections.credentials -}}
{{- range $secret := $secrets -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" $secret) -}}
{{- fail (printf "connections.credentials: %q, of the namespace %s, must be the name of one Secret: RBAC knows no patterns of names" $secret $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $index, $vault := .Values.vaultPolicy.default -}}
{{- if not (regexMatch "^[^,]+$" $vault) -}}
{{- fail (printf "vaultPolicy.default: entry %d, %q, must be one vault, without a comma; make several entries of it" $index $vault) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A value as text, and "" if it or what it is part of is not there. Arguments: the root context and the path. */}}
{{- define "keyturn.valueAt" -}}
{{- $value := (index . 0).Values -}}
{{- range splitList "." (index . 1) -}}
{{- $value = kindIs "map" $value | ternary (get $value .) "" -}}
{{- end -}}
{{- if kindIs "float64" $value -}}
{{- $value = eq (float64 (int64 $value)) $value | ternary (int64 $value) $value -}}
{{- end -}}
{{- if not (kindIs "invalid" $value) -}}{{- $value -}}{{- end -}}
{{- end -}}
