{{/* A release named flashsale is not called flashsale-flashsale. */}}
{{- define "flashsale.name" -}}
{{- if contains "flashsale" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-flashsale" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What finds the pods. It never changes. */}}
{{- define "flashsale.selector" -}}
app.kubernetes.io/name: flashsale
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flashsale.labels" -}}
{{ include "flashsale.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "flashsale.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Of a pod and of its container: what no service of buyers needs is taken away. */}}
{{- define "flashsale.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "flashsale.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
