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

{{/* List of root and one of the three blocks `image`. */}}
{{- define "sakuga.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}
{{- end -}}

{{/* config.yaml: what this chart would rather have, the operator's, and what this chart is built on. */}}
{{- define "sakuga.config" -}}
{{- $server := dict "preload" "all" "load_on_demand" false "start_timeout" .Values.probes.startTimeout -}}
{{- $fixed := dict "host" "0.0.0.0" "url" "localhost:8001" "http_port" 8000 "metrics_port" 8002 "repository" "/models" -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $fixed "tls" (dict "certificate" "/tls/tls.crt" "key" "/tls/tls.key" "ca" "/tls/ca.crt" "mutual" .Values.tls.mutual) -}}
{{- end -}}
{{- mergeOverwrite (dict "server" $server) (deepCopy .Values.config) (dict "server" $fixed) | toYaml -}}
{{- end -}}

{{- define "sakuga.configName" -}}
{{ include "sakuga.fullname" . }}-config-{{ include "sakuga.config" . | sha256sum | trunc 10 }}
{{- end -}}

{{/* Where a release's own networks lie on the volume: another of what they are made of, another place. */}}
{{- define "sakuga.repository" -}}
{{- $made := list (include "sakuga.config" .) (join " " .Values.export.networks) (include "sakuga.image" (list . .Values.export.image)) -}}
repositories/{{ join "\n" $made | sha256sum | trunc 16 }}
{{- end -}}

{{/* Seconds. Everything that has to do with stopping is computed of the same values, here alone. */}}
{{- define "sakuga.grace" -}}
{{- add .Values.shutdown.preStop (ceil .Values.config.server.exit_timeout) .Values.shutdown.margin -}}
{{- end -}}

{{/* HTTP closes with SIGTERM, so from then on liveness fails. The kubelet asks no pod that is being
     deleted, but a server may be ended by something else, too: it gets a whole grace period. */}}
{{- define "sakuga.livenessFailures" -}}
{{- add 1 (ceil (divf (include "sakuga.grace" .) .Values.probes.livenessPeriod)) -}}
{{- end -}}

{{/* Every connection is older than connectionAge by then, was asked to go 5 seconds ago, and had `drain`. */}}
{{- define "sakuga.envoyPreStop" -}}
{{- add .Values.envoy.connectionAge 5 .Values.envoy.drain -}}
{{- end -}}

{{- define "sakuga.adminSecret" -}}
{{- default (printf "%s-admin" (include "sakuga.fullname" .)) .Values.adminKey.existingSecret -}}
{{- end -}}

{{- define "sakuga.claim" -}}
{{- default (include "sakuga.fullname" .) .Values.persistence.existingClaim -}}
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

{{/* Envoy's side of TLS: towards clients, and towards servers. */}}
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
