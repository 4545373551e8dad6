"""config.yaml: the operator's one file, read once, checked whole.

Priority of a setting: flag or call > environment > config.yaml > default. The environment has
SAKUGA_CONFIG (which file) and SAKUGA_URL (which server); nothing else reads it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sakuga.errors import ConfigError
from sakuga.options import (
    FixArtifactsOptions,
    PictureOptions,
    RembgOptions,
    UpscaleOptions,
    explain,
    parse_options,
)
from sakuga.wire import canonical

DEFAULT_FILE = "config.yaml"
DEFAULT_MODEL = "realesrgan-x4plus-anime"
DEFAULT_ENHANCER = "aura-sr-v2"
DEFAULT_CUTOUT = "isnet-anime"
DEFAULT_FIX = {"scale": 2.0, "denoise_strength": 0.7}

Backend = Literal["onnxruntime", "pytorch"]


class Block(BaseModel):
    """A part of the file. Assigning to a field checks the value like reading it does."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class UpscaleBlock(UpscaleOptions):
    """What the operator sets for every picture; a request's own options go first."""

    model_config = ConfigDict(frozen=False, validate_assignment=True)


def _given(block: PictureOptions, kind: type[PictureOptions]) -> dict[str, Any]:
    """The options of `kind` that the file, or an assignment, really set."""
    return block.model_dump(mode="json", exclude_unset=True, include=set(kind.model_fields))


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class RealESRGAN(UpscaleBlock):
    gpu_id: Annotated[list[int], BeforeValidator(_listed)] = Field(default_factory=lambda: [0])
    """One, or several; read as a list."""


class AuraSR(UpscaleBlock):
    backend: Backend | None = None
    """Which of Triton's backends runs it, as ONNX or TorchScript; left out, the faster one."""
    style: Annotated[int | None, Field(ge=0, lt=2**32)] = None
    """Seed of the style that `sakuga-export` bakes in; left out, that of the network's row."""


class RembgBlock(RembgOptions):
    """What the operator sets for every cut-out; a request's own options go first."""

    model_config = ConfigDict(frozen=False, validate_assignment=True)


class FixArtifactsBlock(FixArtifactsOptions):
    """What the operator sets for every picture to mend; a request's own options go first."""

    model_config = ConfigDict(frozen=False, validate_assignment=True)


class ImageProviders(Block):
    """Which model serves which action."""

    upscale: UpscaleBlock = Field(default_factory=UpscaleBlock)
    rembg: RembgBlock = Field(default_factory=RembgBlock)
    fix_artifacts: FixArtifactsBlock = Field(default_factory=FixArtifactsBlock)
    enhance: UpscaleBlock = Field(default_factory=UpscaleBlock)


class Providers(Block):
    image: ImageProviders = Field(default_factory=ImageProviders)


Count = Annotated[int, Field(ge=1)]
Port = Annotated[int | None, Field(ge=1, le=65535)]


class Server(Block):
    """How the server is reached, and how it is run."""

    url: str = "localhost:8001"
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds a client waits for one picture."""
    repository: Path = Path("model_repository")
    """The model repository; a relative path counts from the folder of config.yaml."""
    http_port: Port = None
    metrics_port: Port = None
    pipelines: Count = 4
    """Pictures decoded, tiled and encoded at the same time, a process each."""
    matting_instances: Count = 2
    """Cut-outs matted and encoded at the same time, a process each."""
    fixing_instances: Count = 2
    """Pictures mended at the same time, a process each."""
    queue_size: Count = 256
    """Pictures that may wait; one more is refused as Overloaded."""
    queue_delay: Annotated[int, Field(ge=0)] = 500
    """Microseconds a network waits for more tiles before it starts a batch."""
    cpu_threads: Annotated[int, Field(ge=0)] = 0
    """Threads of a network on the CPU; 0 means one a core."""


class Limits(Block):
    """What one request may cost: the input's limits are checked before the picture is decoded, the
    output's before a network runs."""

    input_bytes: Count = 256 * 2**20
    input_pixels: Count = 4096 * 4096
    output_pixels: Count = 16384 * 16384
    tile_size: Annotated[int, Field(ge=32, le=2048)] = 512
    """The largest `tile_size` a request may ask for: it bounds a network's memory."""


class Config(Block):
    providers: Providers = Field(default_factory=Providers)
    realesrgan: RealESRGAN = Field(default_factory=RealESRGAN)
    rembg: RembgBlock = Field(default_factory=RembgBlock)
    aurasr: AuraSR = Field(default_factory=AuraSR)
    server: Server = Field(default_factory=Server)
    limits: Limits = Field(default_factory=Limits)

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


def load_config(path: str | Path | None = None) -> Config:
    """The configuration from `path`, else from $SAKUGA_CONFIG, else from ./config.yaml.

    Without any of them all settings have their defaults. $SAKUGA_URL replaces `server.url`.

    Raises:
        ConfigError: the file is missing, isn't YAML, or holds a key or value that isn't allowed.
    """
    named = path or os.environ.get("SAKUGA_CONFIG")
    file = Path(named or DEFAULT_FILE)
    config = _read(file) if named or file.exists() else Config()
    config.server.repository = file.resolve().parent / config.server.repository
    if url := os.environ.get("SAKUGA_URL"):
        config.server.url = url
    return config


def _read(file: Path) -> Config:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: can't be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: isn't YAML: {error}") from error
    try:
        return Config.model_validate(values or {})
    except ValidationError as error:
        lines = [explain(_block(e["loc"]), e, f"{file}: ") for e in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _block(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The class of the block that the last name of `location` lies in."""
    kind: type[BaseModel] = Config
    for name in location[:-1]:
        field = kind.model_fields.get(str(name))
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return kind
