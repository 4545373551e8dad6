"""Sakuga's client: drawn and anime pictures, enlarged and cut out by NVIDIA Triton, over gRPC."""

from sakuga.config import Config, load_config
from sakuga.errors import (
    BadImage,
    BadInput,
    BadOption,
    ConfigError,
    DeadlineExceeded,
    ModelNotLoaded,
    Overloaded,
    SakugaError,
    ServerError,
    ServerUnavailable,
    TooLarge,
)
from sakuga.images import Images, connect
from sakuga.provider import AuraSRProvider, ImageProvider, RealESRGANProvider, RembgProvider
from sakuga.triton import Reply
from sakuga.wire import ImageAction

__all__ = [
    "AuraSRProvider",
    "BadImage",
    "BadInput",
    "BadOption",
    "Config",
    "ConfigError",
    "DeadlineExceeded",
    "ImageAction",
    "ImageProvider",
    "Images",
    "ModelNotLoaded",
    "Overloaded",
    "RealESRGANProvider",
    "RembgProvider",
    "Reply",
    "SakugaError",
    "ServerError",
    "ServerUnavailable",
    "TooLarge",
    "connect",
    "load_config",
]
