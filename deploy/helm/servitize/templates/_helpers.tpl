{{- define "servitize.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* Labels that never change, by which pods are selected. Call with (dict "root" $ "component" "api"). */ -}}
{{- define "servitize.selector" -}}
app.kubernetes.io/name: servitize
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "servitize.labels" -}}
{{ include "servitize.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "servitize.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}:{{ $tag }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{- /* The database's address without a password; call with (dict "root" $ "login" "servitize_api"). */ -}}
{{- define "servitize.database" -}}
{{- $db := .root.Values.database -}}
postgresql://{{ .login }}@{{ $db.host }}:{{ $db.port }}/{{ $db.name }}?sslmode={{ $db.sslmode }}
{{- if hasPrefix "verify" $db.sslmode }}&sslrootcert=/run/secrets/database-ca.crt{{ end -}}
{{- end -}}

{{- /* Variables of every container; call with (dict "root" $ "login" "servitize_api" "mqtt" true "kafka" true). */ -}}
{{- define "servitize.environment" -}}
- { name: SERVITIZE_HOME, value: /var/lib/servitize/home }
- { name: SERVITIZE_SECRETS, value: /run/secrets }
- { name: SERVITIZE_DATABASE_URL, value: {{ include "servitize.database" . | quote }} }
{{- if .mqtt }}
- { name: SERVITIZE_MQTT_URL, value: "mqtts://servitize-service@{{ .root.Values.mqtt.host }}:{{ .root.Values.mqtt.port }}" }
- { name: SERVITIZE_MQTT_CA, value: /run/secrets/mqtt-ca.crt }
{{- with .root.Values.mqtt.serverName }}
- { name: SERVITIZE_MQTT_SERVER_NAME, value: {{ . | quote }} }
{{- end }}
{{- end }}
{{- if .kafka }}
- { name: SERVITIZE_KAFKA_SERVERS, value: {{ .root.Values.kafka.servers | quote }} }
- { name: SERVITIZE_KAFKA_PREFIX, value: {{ .root.Values.kafka.prefix | quote }} }
- { name: SERVITIZE_KAFKA_REPLICATION, value: {{ .root.Values.kafka.replication | quote }} }
- { name: SERVITIZE_KAFKA_PROTOCOL, value: {{ .root.Values.kafka.protocol | quote }} }
{{- if hasPrefix "SASL" .root.Values.kafka.protocol }}
- { name: SERVITIZE_KAFKA_MECHANISM, value: {{ .root.Values.kafka.mechanism | quote }} }
- { name: SERVITIZE_KAFKA_USERNAME, value: {{ .root.Values.kafka.username | quote }} }
{{- end }}
{{- if hasSuffix "SSL" .root.Values.kafka.protocol }}
- { name: SERVITIZE_KAFKA_CA, value: /run/secrets/kafka-ca.crt }
{{- end }}
{{- if .root.Values.metrics.enabled }}
- { name: SERVITIZE_METRICS_LISTEN, value: "0.0.0.0:{{ .root.Values.metrics.port }}" }
{{- end }}
{{- with .root.Values.traces.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
- { name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio }
- { name: OTEL_TRACES_SAMPLER_ARG, value: {{ $.root.Values.traces.share | quote }} }
{{- end }}
{{- end }}
{{- end -}}

{{- /* Keys of the Secret that a service is shown; call as servitize.environment, with "secrets" (a list) besides. */ -}}
{{- define "servitize.volumes" -}}
- name: home
  emptyDir: { medium: Memory, sizeLimit: 32Mi }
- name: tmp
  emptyDir: { sizeLimit: 128Mi }
- name: secrets
  secret:
    secretName: {{ .root.Values.secretName }}
    defaultMode: 0440
    items:
      {{- $keys := .secrets }}
      {{- if .mqtt }}{{ $keys = concat $keys (list "servitize-service" "mqtt-ca.crt") }}{{ end }}
      {{- if hasPrefix "verify" .root.Values.database.sslmode }}{{ $keys = append $keys "database-ca.crt" }}{{ end }}
      {{- if and .kafka (hasPrefix "SASL" .root.Values.kafka.protocol) }}{{ $keys = append $keys "kafka-password" }}{{ end }}
      {{- if and .kafka (hasSuffix "SSL" .root.Values.kafka.protocol) }}{{ $keys = append $keys "kafka-ca.crt" }}{{ end }}
      {{- range $keys }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- end -}}

{{- define "servitize.mounts" -}}
- { name: home, mountPath: /var/lib/servitize }
- { name: tmp, mountPath: /tmp }
- { name: secrets, mountPath: /run/secrets, readOnly: true }
{{- end -}}

{{- define "servitize.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "servitize.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* Whatever is the same in every pod; call with (dict "root" $ "component" "api"). */ -}}
{{- define "servitize.pod" -}}
serviceAccountName: {{ include "servitize.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "servitize.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Not two of a kind on one machine, where that can be. */ -}}
{{- define "servitize.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "servitize.selector" . | nindent 8 }}
{{- end -}}

{{- /* Probes of a service that writes a sign of life every second; call with (dict "kind" "ingest" "ready" true). */ -}}
{{- define "servitize.probes" -}}
startupProbe:
  exec: { command: [python, -m, runtime.healthcheck, {{ .kind }}] }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 36
livenessProbe:
  exec: { command: [python, -m, runtime.healthcheck, {{ .kind }}] }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  exec: { command: [python, -m, runtime.healthcheck, {{ .kind }}{{ if .ready }}, --ready{{ end }}] }
  periodSeconds: 20
  timeoutSeconds: 5
{{- end -}}
