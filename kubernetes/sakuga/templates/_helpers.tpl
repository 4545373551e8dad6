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

{{/* What server.tls is on both sides: the servers', and as a client the gateway's. */}}
{{- define "sakuga.tls" -}}
{{- if .Values.tls.existingSecret -}}
{{- dict "tls" (dict "certificate" "/tls/tls.crt" "key" "/tls/tls.key" "ca" "/tls/ca.crt" "mutual" .Values.tls.mutual) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* config.yaml: the chart's defaults, overridden by the values, overridden by what the chart requires.
     Without the gateway's block, a change of which would have the servers export and start again. */}}
{{- define "sakuga.config" -}}
{{- $server := dict "preload" "all" "load_on_demand" false "start_timeout" .Values.probes.startTimeout -}}
{{- $fixed := dict "host" "0.0.0.0" "url" "localhost:8001" "http_port" 8000 "metrics_port" 8002 "repository" "/models" -}}
{{- with include "sakuga.engines" . -}}
{{- $_ := set $fixed "engine_cache" . -}}
{{- end -}}
{{- $fixed = merge $fixed (include "sakuga.tls" . | fromYaml) -}}
{{- mergeOverwrite (dict "server" $server) (omit (deepCopy .Values.config) "gateway") (dict "server" $fixed) | toYaml -}}
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

{{/* Liveness fails from SIGTERM on. The kubelet doesn't probe a pod that is being deleted, but a server may be
     stopped by other means, too: it gets a whole grace period. Processes that die are started again by the server
     itself, which may take as long as a probe. */}}
{{- define "sakuga.livenessFailures" -}}
{{- add 2 (ceil (divf (include "sakuga.grace" .) .Values.probes.livenessPeriod)) -}}
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

{{/* A claim for a volume of the values: list of root, the volume's block, its name and the component. */}}
{{- define "sakuga.newClaim" -}}
{{- $root := index . 0 -}}
{{- $volume := index . 1 -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ index . 2 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "sakuga.labels" (list $root (index . 3)) | nindent 4 }}
  {{- if $volume.keep }}
  annotations: {helm.sh/resource-policy: keep}
  {{- end }}
spec:
  accessModes: {{- toYaml $volume.accessModes | nindent 4 }}
  {{- with $volume.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ $volume.size }}}
{{- end -}}

{{/* The gateway: its names, its config.yaml, and where its jobs are. */}}
{{- define "sakuga.gateway" -}}
{{ include "sakuga.fullname" . }}-gateway
{{- end -}}

{{- define "sakuga.gatewayConfig" -}}
{{- $url := printf "%s.%s.svc:%d" (include "sakuga.fullname" .) .Release.Namespace (int .Values.envoy.service.port) -}}
{{- $server := merge (dict "url" $url) (include "sakuga.tls" . | fromYaml) -}}
{{- $fixed := dict "server" $server "gateway" (dict "host" "0.0.0.0" "port" 8080) -}}
{{- mergeOverwrite (deepCopy .Values.config) $fixed | toYaml -}}
{{- end -}}

{{- define "sakuga.gatewayClaim" -}}
{{- default (printf "%s-jobs" (include "sakuga.fullname" .)) .Values.gateway.persistence.existingClaim -}}
{{- end -}}

{{/* Whether several gateways share the jobs; empty: they are in SQLite, of one gateway. */}}
{{- define "sakuga.jobsShared" -}}
{{- $jobs := .Values.gateway.jobs -}}
{{- if or (and $jobs.existingSecret $jobs.key) .Values.config.gateway.jobs }}yes{{ end -}}
{{- end -}}

{{/* Of a pod that would not start, or would lose jobs, helm says so. */}}
{{- define "sakuga.gatewayChecks" -}}
{{- $gateway := .Values.gateway -}}
{{- if not (or .Values.config.gateway.keys $gateway.noAuth) -}}
{{- fail "gateway.enabled is true and config.gateway.keys is empty: `sakuga web --new-key NAME` makes a key and prints its entry; gateway.noAuth: true does without keys" -}}
{{- end -}}
{{- if not (include "sakuga.jobsShared" .) -}}
{{- $several := "several gateways share their jobs in a PostgreSQL: set config.gateway.jobs to postgresql://user@host/database, or gateway.jobs.existingSecret to a Secret with its URL" -}}
{{- if $gateway.autoscaling.enabled -}}
{{- fail (printf "gateway.autoscaling.enabled is true; %s" $several) -}}
{{- else if gt (int $gateway.replicas) 1 -}}
{{- fail (printf "gateway.replicas is %d, allowed: 0 or 1; %s" (int $gateway.replicas) $several) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sakuga.gatewayGrace" -}}
{{- add .Values.gateway.shutdown.preStop .Values.config.gateway.exit_timeout .Values.gateway.shutdown.margin -}}
{{- end -}}

{{/* How large a request may be, and how long its answer may take, in the words of two controllers. */}}
{{- define "sakuga.ingressAnnotations" -}}
{{- $seconds := add (ceil .Values.config.server.timeout) 60 | toString -}}
{{- $bytes := int64 .Values.config.gateway.body_bytes | toString -}}
{{- /* Both pass bodies on as they come: the gateway has bounds of its own, and events are not to wait. */ -}}
{{- $community := dict "proxy-body-size" $bytes "proxy-read-timeout" $seconds "proxy-send-timeout" $seconds "proxy-request-buffering" "off" "proxy-buffering" "off" -}}
{{- $f5 := dict "client-max-body-size" $bytes "proxy-read-timeout" (printf "%ss" $seconds) "proxy-send-timeout" (printf "%ss" $seconds) "proxy-buffering" "false" -}}
{{- $all := dict -}}
{{- range $name, $value := $community }}{{ $_ := set $all (printf "nginx.ingress.kubernetes.io/%s" $name) $value }}{{ end -}}
{{- range $name, $value := $f5 }}{{ $_ := set $all (printf "nginx.org/%s" $name) $value }}{{ end -}}
{{- mergeOverwrite $all .Values.gateway.ingress.annotations | toYaml -}}
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
