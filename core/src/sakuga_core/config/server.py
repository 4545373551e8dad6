"""The blocks `server` and `limits` of config.yaml."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sakuga_core.config.block import Block

Backend = Literal["onnxruntime", "pytorch"]
Accelerator = Literal["auto", "none", "openvino", "tensorrt"]
Precision = Literal["auto", "fp32", "bf16"]

Count = Annotated[int, Field(ge=1)]
Port = Annotated[int | None, Field(ge=1, le=65535)]


class NetworkSettings(Block):
    """How Triton runs one network, where that isn't as for all of them."""

    instances: Annotated[int | None, Field(ge=1)] = None
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    max_queue_delay_us: Annotated[int | None, Field(ge=0)] = None
    accelerator: Accelerator | None = None
    precision: Precision | None = None


class TLS(Block):
    """Of gRPC, which alone has it in Triton. `ca` has clients use it; `certificate` and `key` have
    the server use it, and say who a client is. Relative paths count from the folder of config.yaml.
    """

    ca: Path | None = Field(default=None, examples=["a file in PEM form, or system"])
    """Whose certificates are trusted: a file in PEM form, or those that this machine trusts."""
    certificate: Path | None = None
    """Chain of one's own certificate, in PEM form. The server's has to name localhost, too, where
    `sakuga serve` itself administers it."""
    key: Path | None = None
    """Its private key, in PEM form."""
    mutual: bool = False
    """The server takes only clients that have a certificate of `ca`."""

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
        """Whether those are trusted that this machine trusts."""
        return self.ca == Path("system")


class Server(Block):
    """How the server is reached, and how it is run."""

    url: str = "localhost:8001"
    """host:port of Triton's gRPC; or, to go round several servers, dns:///host:port for all
    addresses that a name has, ipv4:host:port,host:port for those listed."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds a client waits for one picture, all attempts included. A server refuses a picture
    that has waited in its queue for half of what was left: the rest is for another server."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Times a client sends a picture anew when a server can't be reached, stops, or goes down; and
    over time no more than one in five pictures. A full queue is told at once."""
    in_flight: Count = 64
    """Pictures that a client has under way at once; more wait on its side."""
    tls: TLS = Field(default_factory=TLS)
    """Of gRPC."""
    host: str = "127.0.0.1"
    """Address of this machine that the server listens on. The embedded one has known holes: don't
    let it be reached from a network that isn't trusted."""
    repository: Path = Path("model_repository")
    """The model repository; a relative path counts from the folder of config.yaml."""
    http_port: Port = None
    """Of Triton's HTTP; left out, there is none. Whether it is ready, all may ask; for the rest it
    wants the key of its administration."""
    metrics_port: Port = None
    """Of Triton's metrics; left out, there are none."""
    start_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that starting may take, until all networks are loaded."""
    exit_timeout: Annotated[int, Field(ge=1)] = 25
    """Seconds that pictures under way are given when `sakuga serve` is told to stop."""
    trace_url: str | None = None
    """Where Triton sends traces, as OpenTelemetry's OTLP over HTTP: http://host:4318/v1/traces."""
    trace_rate: Count = 1
    """One picture of so many is traced."""
    preload: Literal["all"] | list[str] = Field(
        default_factory=list, examples=["all, or a list of networks"]
    )
    """Networks that are always loaded, besides those that the actions name; or all."""
    load_on_demand: bool = True
    """Load a network that a request names and that isn't loaded yet."""
    unload_after: Annotated[float, Field(gt=0)] = 300.0
    """Seconds without a picture after which a network that nothing here names is unloaded."""
    upscale_workers: Count = 4
    """Pictures decoded, tiled and encoded at the same time, a process each."""
    matting_workers: Count = 2
    """Cut-outs matted and encoded at the same time, a process each."""
    fix_artifacts_workers: Count = 2
    """Pictures repaired at the same time, a process each."""
    queue_size: Count = 256
    """Pictures that may wait; one more is refused as Overloaded."""
    instances: Count = 1
    """Of each network, on each GPU."""
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    """The most tiles, or pictures, that a network takes at once; left out, what its kind bears."""
    # On two cores no delay from 0 to 5000 was ahead at every number of clients, and a lone picture
    # waits it in full: benchmarks/results/load.md. Not measured on GPUs.
    max_queue_delay_us: Annotated[int, Field(ge=0)] = 500
    """Microseconds a network waits for more tiles before it starts a batch."""
    accelerator: Accelerator = "auto"
    """What runs the networks: openvino on CPUs, tensorrt on GPUs, or with none onnxruntime itself;
    auto: openvino where it is installed beside the embedded server, else onnxruntime."""
    precision: Precision = "auto"
    """On CPUs that have bfloat16: auto uses it for pictures of 8 bits through networks whose result
    it hardly changes, bf16 for those of any network, fp32 never. It takes OpenVINO."""
    cpu_threads: Annotated[int, Field(ge=0)] = 0
    """Threads of a network on the CPU; 0 means one a core."""
    networks: dict[str, NetworkSettings] = Field(default_factory=dict)
    """instances, batch, max_queue_delay_us, accelerator and precision of single networks, by name."""


class Limits(Block):
    """What one request may cost: the input's limits are checked before the picture is decoded, the
    output's before a network runs."""

    input_bytes: Count = 256 * 2**20
    """Of an encoded file."""
    input_pixels: Count = 4096 * 4096
    """Width times height."""
    output_pixels: Count = 16384 * 16384
    """Width times height, at the network's own scale or the one asked for."""
    tile_size: Annotated[int, Field(ge=32, le=2048)] = 1024
    """The largest `tile_size` a request may ask for: it bounds a network's memory."""
