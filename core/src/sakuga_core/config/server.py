"""The blocks `server` and `limits` of config.yaml."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sakuga_core.config.block import Block
from sakuga_core.logs import LogFormat

Backend = Literal["onnxruntime", "pytorch"]
Accelerator = Literal["auto", "none", "openvino", "cuda", "tensorrt"]
Precision = Literal["auto", "fp32", "fp16", "bf16"]

Count = Annotated[int, Field(ge=1)]
Port = Annotated[int | None, Field(ge=1, le=65535)]


class NetworkSettings(Block):
    """How Triton runs one network, where it differs from the settings for all."""

    instances: Annotated[int | None, Field(ge=1)] = None
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    max_queue_delay_us: Annotated[int | None, Field(ge=0)] = None
    accelerator: Accelerator | None = None
    precision: Precision | None = None
    gpu_memory: Annotated[float | None, Field(gt=0)] = None


class TLS(Block):
    """TLS for gRPC, and for https to a gateway; Triton has none for HTTP. With `ca`, clients verify
    the server. With `certificate` and `key`, the server identifies itself, and so does a client
    that has them. Relative paths start at the folder of config.yaml.
    """

    ca: Path | None = Field(default=None, examples=["a file in PEM form, or system"])
    """Trusted certificate authorities: a PEM file, or `system` for those of this machine."""
    certificate: Path | None = None
    """PEM file with the certificate chain of this side. The server's must also name localhost, for
    `sakuga serve` to control it."""
    key: Path | None = None
    """PEM file with its private key."""
    mutual: bool = False
    """Accept only clients with a certificate that `ca` signed."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' are given together, or neither is")
        if self.certificate and self.ca is None:
            raise ValueError("'certificate' needs 'ca' beside it")
        if self.mutual and (self.certificate is None or self.of_system):
            raise ValueError("'mutual' needs 'certificate', 'key', and a file as 'ca'")
        return self

    @property
    def of_system(self) -> bool:
        """Whether this machine's certificate authorities are trusted."""
        return self.ca == Path("system")


class Server(Block):
    """How clients reach the server, and how it runs."""

    url: str = "auto"
    """auto: the server that answers on this machine, else the embedded one, started for as long as
    the program needs it. Otherwise host:port of Triton's gRPC, or several servers in turn:
    dns:///host:port for all addresses of a name, ipv4:host:port,host:port for a list. Or
    http://host:port of a gateway, `sakuga web`, with its key in SAKUGA_KEY."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that a client waits for one picture: queue, connection and all attempts included. A
    server refuses a picture that has waited in its queue for half of the time left, so that another
    server can still process it."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Times that a client sends a picture again when a server can't be reached or stops; over time
    at most one retry for five pictures. A full queue is reported immediately, without a retry. Over
    gRPC a server that has answered before is waited for, up to a minute; 0 switches that off."""
    in_flight: Count = 64
    """Concurrent requests of one client; more pictures wait in the client. Unless it is set, 8 to a
    gateway."""
    tls: TLS = Field(default_factory=TLS)
    """Encryption of gRPC and of https."""
    host: str = "127.0.0.1"
    """Address that the server listens on. The embedded server has known vulnerabilities: never
    expose it to an untrusted network."""
    repository: Path = Path("model_repository")
    """The model repository; a relative path starts at the folder of config.yaml. If it isn't set
    and there is none beside the file, it is `~/.local/share/sakuga/model_repository`."""
    http_port: Port = None
    """Port of Triton's HTTP for health checks; if unset, they aren't served. All other HTTP
    requests need the administration key."""
    metrics_port: Port = None
    """Port of Prometheus metrics, Triton's and the server's own; if unset, there are none."""
    log_format: LogFormat = "text"
    """The server's log: text, or json, an object a line, with the id of the request."""
    start_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds until all networks must be loaded."""
    exit_timeout: Annotated[int, Field(ge=1)] = 25
    """Seconds that in-flight pictures have to finish when `sakuga serve` stops."""
    trace_url: str | None = None
    """OpenTelemetry collector (OTLP over HTTP) for traces: http://host:4318/v1/traces."""
    trace_rate: Count = 1
    """Trace one picture out of this many."""
    preload: Literal["all"] | list[str] = Field(
        default_factory=list, examples=["all, or a list of networks"]
    )
    """Networks to keep loaded besides those that the actions name, or `all`."""
    load_on_demand: bool = True
    """Load a network when a request names it."""
    unload_after: Annotated[float, Field(gt=0)] = 300.0
    """Idle seconds after which a network is unloaded that config.yaml doesn't name."""
    upscale_workers: Count = 4
    """Processes of the `upscale` pipeline, one picture each; its twin that streams progress has as
    many."""
    matting_workers: Count = 2
    """Processes of the `rembg` pipeline, one picture each; its twin has as many."""
    fix_artifacts_workers: Count = 2
    """Processes of the `fix_artifacts` pipeline, one picture each; its twin has as many."""
    licences: Literal["any", "permissive"] = "any"
    """Networks that requests may name. permissive: those alone whose weights have a licence such as
    MIT, BSD or Apache-2.0, which `sakuga models` lists; others are refused by their names."""
    instances: Count = 1
    """Instances of each network, on each GPU."""
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    """Maximum batch size of a network, in tiles or pictures; if unset, chosen by architecture."""
    # On two cores no delay from 0 to 5000 was ahead at every number of clients, and a lone picture
    # waits it in full: benchmarks/results/load.md. Not measured on GPUs.
    max_queue_delay_us: Annotated[int, Field(ge=0)] = 500
    """Microseconds that Triton's dynamic batcher waits for more tiles."""
    accelerator: Accelerator = "auto"
    """Execution provider of the networks: openvino on CPUs, cuda or tensorrt on GPUs, none for
    onnxruntime's default. auto: openvino on a CPU, if it is installed with the embedded server;
    else onnxruntime, which takes CUDA on a GPU. With cuda and tensorrt networks are warmed up, so
    that a server is ready only when its engines are built."""
    precision: Precision = "auto"
    """Arithmetic of the networks. fp32: float32. fp16: float16, on GPUs. bf16: bfloat16 for 8-bit
    results, on CPUs that have it, under OpenVINO. auto: fp16 on GPUs of compute capability 7.0 and
    up, bf16 on CPUs for networks that it hardly changes, else fp32. What this machine can't do is
    an error when the server starts."""
    gpu_memory: Annotated[float | None, Field(gt=0)] = None
    """Gigabytes of GPU memory that one instance of a network may allocate; if unset, any."""
    engine_cache: Path | None = None
    """Folder of TensorRT's engines, which take minutes to build; if unset, in the user's cache. A
    relative path starts at the folder of config.yaml. Engines are kept by network, GPU architecture
    and TensorRT version, so servers that differ in these may share it."""
    cpu_threads: Annotated[int, Field(ge=0)] = 0
    """Threads of a network on the CPU; 0 means one per core."""
    networks: dict[str, NetworkSettings] = Field(default_factory=dict)
    """Overrides for single networks, by name: instances, batch, max_queue_delay_us, accelerator,
    precision, gpu_memory."""

    def workers_for(self, requests: int) -> dict[str, int]:
        """The `…_workers` settings for so many requests at once, which need no more than that."""
        names = (name for name in type(self).model_fields if name.endswith("_workers"))
        return {name: min(getattr(self, name), requests) for name in names}


class Limits(Block):
    """Limits of the server: of one request, and how many may wait. The input's are checked before
    the picture is decoded, the output's before a network runs."""

    input_bytes: Count = 256 * 2**20
    """Size of an encoded file, in bytes."""
    input_pixels: Count = 4096 * 4096
    """Width times height."""
    output_pixels: Count = 16384 * 16384
    """Width times height of the result, at the network's scale or the requested one."""
    tile_size: Annotated[int, Field(ge=32, le=2048)] = 1024
    """The largest `tile_size` of a request, in pixels: it bounds a network's memory."""
    frames: Count = 10_000
    """Frames of an animated picture, or pages. Their pixels together may be `animation_pixels`."""
    animation_pixels: Count = 4096 * 4096 * 64
    """Width times height times frames of an animated picture, or the pixels of all pages, with what
    of them is decoded beyond the canvas or the page."""
    metadata_bytes: Count = 16 * 2**20
    """Size of what a file says beside its pixels, decompressed; more of it is dropped, with a
    warning."""
    regions: Count = 256
    """How many `regions` a request of `fix_artifacts` may have."""
    queue_size: Count = 256
    """Pictures that may wait in a pipeline's queue; one more is refused as Overloaded."""
