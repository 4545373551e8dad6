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
    """How Triton runs one network, if it differs from the settings for all networks."""

    instances: Annotated[int | None, Field(ge=1)] = None
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    max_queue_delay_us: Annotated[int | None, Field(ge=0)] = None
    accelerator: Accelerator | None = None
    precision: Precision | None = None
    gpu_memory: Annotated[float | None, Field(gt=0)] = None


class TLS(Block):
    """TLS for gRPC, and for https to a gateway; Triton doesn't support it for HTTP. With `ca`,
    clients verify the server. With `certificate` and `key`, servers and clients identify
    themselves. Relative paths start at the folder of config.yaml.
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
            raise ValueError("'certificate' and 'key' must be set together")
        if self.certificate and self.ca is None:
            raise ValueError("'certificate' also needs 'ca'")
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
    """auto: the server that answers on this machine; if there is none, the embedded server, which
    runs until the program ends. host:port: Triton's gRPC. Several servers are used in turn:
    dns:///host:port for all addresses of a name, ipv4:host:port,host:port for a list.
    http://host:port: a gateway, `sakuga web`, with its key in SAKUGA_KEY."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that a client waits for one picture, including connection, queue and retries. If a
    picture has waited in a queue for half of the remaining time, the server refuses it, so that
    another server can still process it."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Maximum number of retries for a picture when a server stops or can't be reached; over time at
    most one retry per five pictures. A full queue is reported immediately, without a retry. Over
    gRPC, a client waits up to a minute for a server that has answered before; 0 disables this."""
    in_flight: Count = 64
    """Concurrent requests of one client; further pictures wait in the client. For a gateway, the
    default is 8."""
    tls: TLS = Field(default_factory=TLS)
    """Encryption of gRPC and of https."""
    host: str = "127.0.0.1"
    """Address that the server listens on. The embedded server has known vulnerabilities: never
    expose it to an untrusted network."""
    repository: Path = Path("model_repository")
    """The model repository; a relative path starts at the folder of config.yaml. If it isn't set
    and that folder has none, it is `~/.local/share/sakuga/model_repository`."""
    http_port: Port = None
    """Port of Triton's HTTP for health checks; if unset, there is none. All other HTTP requests
    need the administration key."""
    metrics_port: Port = None
    """Port of Prometheus metrics, Triton's and the server's own; if unset, there are none."""
    log_format: LogFormat = "text"
    """Format of the server's log: text, or json, one object per line with the request's id."""
    start_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds within which all networks must be loaded."""
    exit_timeout: Annotated[int, Field(ge=1)] = 25
    """Seconds for in-flight pictures to finish when `sakuga serve` stops."""
    trace_url: str | None = None
    """OpenTelemetry collector (OTLP over HTTP) for traces: http://host:4318/v1/traces."""
    trace_rate: Count = 1
    """Trace one of this many pictures."""
    preload: Literal["all"] | list[str] = Field(
        default_factory=list, examples=["all, or a list of networks"]
    )
    """Networks to keep loaded in addition to those that the actions name, or `all`."""
    load_on_demand: bool = True
    """Load a network when a request names it."""
    unload_after: Annotated[float, Field(gt=0)] = 300.0
    """Idle seconds after which a network that config.yaml doesn't name is unloaded."""
    upscale_workers: Count = 4
    """Processes of the `upscale` pipeline, one picture each; its streaming twin, which reports
    progress, has the same number."""
    matting_workers: Count = 2
    """Processes of the `rembg` pipeline, one picture each; its twin has the same number."""
    fix_artifacts_workers: Count = 2
    """Processes of the `fix_artifacts` pipeline, one picture each; its twin has the same number."""
    licences: Literal["any", "permissive"] = "any"
    """Networks that requests may name. permissive: only networks whose weights have a licence such
    as MIT, BSD or Apache-2.0, which `sakuga models` lists; others are refused."""
    instances: Count = 1
    """Instances of each network, on each GPU."""
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    """Maximum batch of a network, in tiles or pictures; if unset, the architecture's default."""
    # On two cores no delay from 0 to 5000 was ahead at every number of clients, and a lone picture
    # waits it in full: benchmarks/results/load.md. Not measured on GPUs.
    max_queue_delay_us: Annotated[int, Field(ge=0)] = 500
    """Microseconds that Triton's dynamic batcher waits for more tiles."""
    accelerator: Accelerator = "auto"
    """Execution provider of the networks: openvino on CPUs, cuda or tensorrt on GPUs, none for
    onnxruntime's default. auto: openvino on a CPU, if it is installed with the embedded server;
    otherwise onnxruntime, which uses CUDA on a GPU. With cuda and tensorrt, networks are warmed up,
    so a server is ready only when its engines are built."""
    precision: Precision = "auto"
    """Arithmetic of the networks. fp32: float32. fp16: float16, on GPUs. bf16: bfloat16 for 8-bit
    results, on CPUs that have it, under OpenVINO. auto: fp16 on GPUs of compute capability 7.0 and
    up, bf16 on CPUs for networks with small differences, otherwise fp32. A precision that this
    machine doesn't support is an error when the server starts."""
    gpu_memory: Annotated[float | None, Field(gt=0)] = None
    """Gigabytes of GPU memory that one instance of a network may allocate; if unset, no limit."""
    engine_cache: Path | None = None
    """Folder of TensorRT's engines, which take minutes to build; if unset, in the user's cache. A
    relative path starts at the folder of config.yaml. Engines are named by network, GPU
    architecture and TensorRT version, so different servers can share the folder."""
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
    """Limits of the server, for each request and for the queues. Limits of the input are checked
    before the picture is decoded, limits of the output before a network runs."""

    input_bytes: Count = 256 * 2**20
    """Size of an encoded file, in bytes."""
    input_pixels: Count = 4096 * 4096
    """Width times height of the picture."""
    output_pixels: Count = 16384 * 16384
    """Width times height of the result, at the network's scale and at the requested one."""
    tile_size: Annotated[int, Field(ge=32, le=2048)] = 1024
    """The largest `tile_size` of a request, in pixels; it limits a network's memory."""
    frames: Count = 10_000
    """Frames of an animated picture, or pages; `animation_pixels` limits their total pixels."""
    animation_pixels: Count = 4096 * 4096 * 64
    """Width times height times frames of an animated picture, or the pixels of all pages, including
    pixels that are decoded outside of the canvas or page."""
    metadata_bytes: Count = 16 * 2**20
    """Size of the decompressed metadata of a file; larger metadata are dropped, with a warning."""
    regions: Count = 256
    """Maximum number of `regions` in a request of `fix_artifacts`."""
    queue_size: Count = 256
    """Pictures that may wait in a pipeline's queue; further ones are refused as Overloaded."""
