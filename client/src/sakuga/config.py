"""config.yaml as typed blocks, and the options that one request gets from them.

Reading the file, and following it while it changes, is in `config_file`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from sakuga.blocks import Block, Source
from sakuga.options import (
    FixArtifactsOptions,
    PictureOptions,
    RembgOptions,
    UpscaleOptions,
    parse_options,
)
from sakuga.wire import canonical

DEFAULT_MODEL = "realesrgan-x4plus-anime"
DEFAULT_ENHANCER = "aura-sr-v2"
DEFAULT_CUTOUT = "isnet-anime"
DEFAULT_FIX = {"scale": 2.0, "denoise_strength": 0.7}

Backend = Literal["onnxruntime", "pytorch"]
Accelerator = Literal["auto", "none", "openvino", "tensorrt"]
Precision = Literal["auto", "fp32", "bf16"]


class UpscaleBlock(UpscaleOptions, Block):
    """What the operator sets for every picture; a request's own options go first."""


def _given(block: PictureOptions, kind: type[PictureOptions]) -> dict[str, Any]:
    """The options of `kind` that the file, or an assignment, really set."""
    return block.model_dump(mode="json", exclude_unset=True, include=set(kind.model_fields))


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _one_or_more(kind: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [kind, {"type": "array", "items": kind, "minItems": 1}]})


Gpu = Annotated[int, Field(ge=0)]


class RealESRGAN(UpscaleBlock):
    """For every Real-ESRGAN model, unless the action's block says otherwise."""

    gpu_id: Annotated[
        list[Gpu],
        BeforeValidator(_listed),
        Field(min_length=1, examples=["a number of a GPU, from 0, or a list of them"]),
        _one_or_more({"type": "integer", "minimum": 0}),
    ] = Field(default_factory=lambda: [0])
    """GPUs that the embedded server uses: one, or several; without any GPU, the CPU."""


class AuraSR(UpscaleBlock):
    """For every AuraSR model, unless the action's block says otherwise."""

    backend: Backend | None = None
    """Which of Triton's backends runs it, as ONNX or TorchScript; left out, the faster one."""
    style: Annotated[int | None, Field(ge=0, lt=2**32)] = None
    """Seed of the style that `sakuga-export` bakes in; left out, that of the network's row."""


class RembgBlock(RembgOptions, Block):
    """What the operator sets for every cut-out; a request's own options go first."""


class Action(Block):
    """Who does an action, if it isn't Triton."""

    provider: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$",
            examples=["an import path, package.module:name"],
        ),
    ] = None
    """Import path of a provider of one's own, package.module:name: a class or an object with
    `async process(image, action, config) -> bytes`. It may lie beside config.yaml."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What that provider is given with every picture; a request's own options go first."""

    @model_validator(mode="after")
    def _options_are_for_a_provider(self) -> Self:
        if self.options and self.provider is None:
            raise ValueError("'options' stands beside 'provider' alone")
        return self


class UpscaleAction(UpscaleBlock, Action):
    """Of `upscale`, or of `enhance`."""


class RembgAction(RembgBlock, Action):
    """Of `rembg`."""


class FixArtifactsAction(FixArtifactsOptions, Action):
    """Of `fix_artifacts`."""


class ImageProviders(Block):
    """Which model serves which action."""

    upscale: UpscaleAction = Field(default_factory=UpscaleAction)
    rembg: RembgAction = Field(default_factory=RembgAction)
    fix_artifacts: FixArtifactsAction = Field(default_factory=FixArtifactsAction)
    enhance: UpscaleAction = Field(default_factory=UpscaleAction)


class Providers(Block):
    """Who does what."""

    image: ImageProviders = Field(default_factory=ImageProviders)


Count = Annotated[int, Field(ge=1)]
Port = Annotated[int | None, Field(ge=1, le=65535)]


class NetworkSettings(Block):
    """How Triton runs one network, where that isn't as for all of them."""

    instances: Annotated[int | None, Field(ge=1)] = None
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    queue_delay: Annotated[int | None, Field(ge=0)] = None
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
    pipelines: Count = 4
    """Pictures decoded, tiled and encoded at the same time, a process each."""
    matting_instances: Count = 2
    """Cut-outs matted and encoded at the same time, a process each."""
    fixing_instances: Count = 2
    """Pictures mended at the same time, a process each."""
    queue_size: Count = 256
    """Pictures that may wait; one more is refused as Overloaded."""
    instances: Count = 1
    """Of each network, on each GPU."""
    batch: Annotated[int | None, Field(ge=1, le=64)] = None
    """The most tiles, or pictures, that a network takes at once; left out, what its kind bears."""
    # On two cores no delay from 0 to 5000 was ahead at every number of clients, and a lone picture
    # waits it in full: benchmarks/results/load.md. Not measured on GPUs.
    queue_delay: Annotated[int, Field(ge=0)] = 500
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
    """instances, batch, queue_delay, accelerator and precision of single networks, by name."""


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


class Config(Block):
    """The whole file."""

    providers: Providers = Field(default_factory=Providers)
    realesrgan: RealESRGAN = Field(default_factory=RealESRGAN)
    rembg: RembgBlock = Field(default_factory=RembgBlock)
    aurasr: AuraSR = Field(default_factory=AuraSR)
    server: Server = Field(default_factory=Server)
    limits: Limits = Field(default_factory=Limits)

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source | None:
        """The file that all of it was read from, if there is one."""
        return self._source

    @source.setter
    def source(self, source: Source) -> None:
        self._source = source

    def upscale_options(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The options one picture gets: its family's, overridden by its action's, by its own.

        Raises:
            BadOption: an option of the request is unknown or not allowed.
        """
        model = self.realesrgan.model or DEFAULT_MODEL
        return self._enlarging(UpscaleOptions, self.providers.image.upscale, model, request)

    def enhance_options(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The options one picture to enhance gets, likewise.

        Raises:
            BadOption: an option of the request is unknown or not allowed.
        """
        model = self.aurasr.model or DEFAULT_ENHANCER
        return self._enlarging(UpscaleOptions, self.providers.image.enhance, model, request)

    def fix_artifacts_options(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The options one picture to mend gets, likewise; all of them fit into JSON.

        Raises:
            BadOption: an option of the request is unknown or not allowed.
        """
        model = self.realesrgan.model or DEFAULT_MODEL
        block = self.providers.image.fix_artifacts
        return DEFAULT_FIX | self._enlarging(FixArtifactsOptions, block, model, request)

    def _enlarging(
        self,
        kind: type[UpscaleOptions],
        block: UpscaleOptions,
        default: str,
        request: Mapping[str, Any],
    ) -> dict[str, Any]:
        own = parse_options(kind, request).model_dump(mode="json", exclude_unset=True)
        model = canonical(own.get("model") or block.model or default)
        family = self.aurasr if model.startswith("aura-sr") else self.realesrgan
        given = _given(family, UpscaleOptions) | _given(block, kind)
        return given | own | {"model": model}

    def rembg_options(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The options one cut-out gets, likewise.

        Raises:
            BadOption: an option of the request is unknown or not allowed.
        """
        own = parse_options(RembgOptions, request).model_dump(exclude_unset=True)
        given = _given(self.rembg, RembgOptions) | _given(self.providers.image.rembg, RembgOptions)
        model = own.get("model") or given.get("model") or DEFAULT_CUTOUT
        return given | own | {"model": canonical(model)}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of config.yaml, for editors to complete and check it by."""
    schema = Config.model_json_schema()
    for block in (schema, *schema["$defs"].values()):
        properties = block.get("properties", {})
        for values in properties.values():
            values.pop("title", None)  # the name again
        if "denoise_strength" in properties:
            properties["denoise"] = properties["denoise_strength"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
