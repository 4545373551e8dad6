{{- define "sakuga.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The headless Service of the servers, and its name in the cluster. */}}
{{- define "sakuga.servers" -}}
{{ include "sakuga.fullname" . }}-servers
{{- end -}}
{{- define "sakuga.serversAddress" -}}
{{ include "sakuga.servers" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Labels by which a component's pods are selected: list of root and component. */}}
{{- define "sakuga.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "sakuga.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{ include "sakuga.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image reference: list of root and an `image` block. */}}
{{- define "sakuga.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}
{{- end -}}

{{/* config.yaml: the chart's defaults, overridden by the values, overridden by what the chart requires. */}}
{{- define "sakuga.config" -}}
{{- $server := dict "preload" "all" "load_on_demand" false "start_timeout" .Values.probes.startTimeout -}}
{{- $fixed := dict "host" "0.0.0.0" "url" "localhost:8001" "http_port" 8000 "metrics_port" 8002 "repository" "/models" -}}
{{- with include "sakuga.engines" . -}}
{{- $_ := set $fixed "engine_cache" . -}}
{{- end -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $fixed "tls" (dict "certificate" "/tls/tls.crt" "key" "/tls/tls.key" "ca" "/tls/ca.crt" "mutual" .Values.tls.mutual) -}}
{{- end -}}
{{- mergeOverwrite (dict "server" $server) (deepCopy .Values.config) (dict "server" $fixed) | toYaml -}}
{{- end -}}

{{- define "sakuga.configName" -}}
{{ include "sakuga.fullname" . }}-config-{{ include "sakuga.config" . | sha256sum | trunc 10 }}
{{- end -}}

{{/* The folder of a release's networks on the volume, named by everything that they are exported from. */}}
{{- define "sakuga.repository" -}}
{{- $made := list (include "sakuga.config" .) (join " " .Values.export.networks) (include "sakuga.image" (list . .Values.export.image)) -}}
repositories/{{ join "\n" $made | sha256sum | trunc 16 }}
{{- end -}}

{{/* Seconds. All shutdown times are computed here, from the same values. */}}
{{- define "sakuga.grace" -}}
{{- add .Values.shutdown.preStop (ceil .Values.config.server.exit_timeout) .Values.shutdown.margin -}}
{{- end -}}

{{/* HTTP closes with SIGTERM, so liveness fails from then on. The kubelet doesn't probe a pod that is being
     deleted, but a server may be stopped by other means, too: it gets a whole grace period. */}}
{{- define "sakuga.livenessFailures" -}}
{{- add 1 (ceil (divf (include "sakuga.grace" .) .Values.probes.livenessPeriod)) -}}
{{- end -}}

{{/* By then every connection has reached connectionAge, got GOAWAY 5 seconds later, and had `drain`. */}}
{{- define "sakuga.envoyPreStop" -}}
{{- add .Values.envoy.connectionAge 5 .Values.envoy.drain -}}
{{- end -}}

{{- define "sakuga.adminSecret" -}}
{{- default (printf "%s-admin" (include "sakuga.fullname" .)) .Values.adminKey.existingSecret -}}
{{- end -}}

{{- define "sakuga.claim" -}}
{{- default (include "sakuga.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* Where TensorRT keeps its engines; empty without a GPU. */}}
{{- define "sakuga.engines" -}}
{{- if .Values.gpu.resource }}/var/cache/sakuga/tensorrt{{ end -}}
{{- end -}}

{{- define "sakuga.enginesClaim" -}}
{{- default (printf "%s-engines" (include "sakuga.fullname" .)) .Values.engineCache.existingClaim -}}
{{- end -}}

{{- define "sakuga.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sakuga.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sakuga.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* TLS of Envoy: downstream to clients, upstream to servers. */}}
{{- define "sakuga.tlsCommon" -}}
alpn_protocols: [h2]
tls_params: {tls_minimum_protocol_version: TLSv1_2}
{{- end -}}
{{- define "sakuga.tlsCertificate" -}}
tls_certificates:
  - certificate_chain: {filename: /tls/tls.crt}
    private_key: {filename: /tls/tls.key}
{{- end -}}
{{- define "sakuga.tlsDownstream" -}}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    require_client_certificate: {{ .Values.tls.mutual }}
    common_tls_context:
      {{- include "sakuga.tlsCommon" . | nindent 6 }}
      {{- include "sakuga.tlsCertificate" . | nindent 6 }}
      {{- if .Values.tls.mutual }}
      validation_context:
        trusted_ca: {filename: /tls/ca.crt}
      {{- end }}
{{- end -}}
{{- define "sakuga.tlsUpstream" -}}
{{- $name := default (include "sakuga.serversAddress" .) .Values.tls.serverName -}}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: {{ $name }}
    common_tls_context:
      {{- include "sakuga.tlsCommon" . | nindent 6 }}
      {{- if .Values.tls.mutual }}
      {{- include "sakuga.tlsCertificate" . | nindent 6 }}
      {{- end }}
      validation_context:
        trusted_ca: {filename: /tls/ca.crt}
        match_typed_subject_alt_names:
          - san_type: DNS
            matcher: {exact: {{ $name }}}
{{- end -}}
