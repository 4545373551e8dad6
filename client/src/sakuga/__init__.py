"""Sakuga's client: drawn and anime pictures, enlarged, mended and cut out by NVIDIA Triton."""

from sakuga.artifacts import (
    ArtifactDetector,
    ArtifactFixProvider,
    AutoDetector,
    fix_artifacts,
    inpaint_regions,
)
from sakuga.config import Config
from sakuga.config_file import load_config
from sakuga.errors import (
    BadImage,
    BadInput,
    BadOption,
    ConfigError,
    DeadlineExceeded,
    DetectorError,
    ModelNotInstalled,
    ModelNotLoaded,
    NotAllowed,
    Overloaded,
    ProviderError,
    QueueTimeout,
    SakugaError,
    ServerError,
    ServerUnavailable,
    TooLarge,
)
from sakuga.images import Images, connect
from sakuga.options import Region
from sakuga.provider import AuraSRProvider, ImageProvider, RealESRGANProvider, RembgProvider
from sakuga.tracing import trace_context
from sakuga.triton import Reply
from sakuga.wire import ImageAction

__all__ = [
    "ArtifactDetector",
    "ArtifactFixProvider",
    "AuraSRProvider",
    "AutoDetector",
    "BadImage",
    "BadInput",
    "BadOption",
    "Config",
    "ConfigError",
    "DeadlineExceeded",
    "DetectorError",
    "ImageAction",
    "ImageProvider",
    "Images",
    "ModelNotInstalled",
    "ModelNotLoaded",
    "NotAllowed",
    "Overloaded",
    "ProviderError",
    "QueueTimeout",
    "RealESRGANProvider",
    "Region",
    "RembgProvider",
    "Reply",
    "SakugaError",
    "ServerError",
    "ServerUnavailable",
    "TooLarge",
    "connect",
    "fix_artifacts",
    "inpaint_regions",
    "load_config",
    "trace_context",
]
