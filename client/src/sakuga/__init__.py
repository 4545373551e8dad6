"""Sakuga's client: upscale, restore, enhance and remove the background of drawn and anime pictures
on NVIDIA Triton.

Names are imported when they are first used, so that `sakuga --help` needs neither gRPC nor
pydantic.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sakuga.artifacts import (
        ArtifactDetector,
        ArtifactFixProvider,
        AutoDetector,
        fix_artifacts,
        inpaint_regions,
    )
    from sakuga.images import Images, connect
    from sakuga.providers import AuraSRProvider, ImageProvider, RealESRGANProvider, RembgProvider
    from sakuga.reply import Reply
    from sakuga.sync import SyncImages, connect_sync
    from sakuga.tracing import trace_context
    from sakuga_core.actions import ImageAction
    from sakuga_core.config.file import load_config
    from sakuga_core.config.schema import Config
    from sakuga_core.errors import (
        BadImage,
        BadInput,
        BadOption,
        Cancelled,
        ConfigError,
        DeadlineExceeded,
        DetectorError,
        ModelNotInstalled,
        ModelNotLoaded,
        Overloaded,
        PermissionDenied,
        ProviderError,
        QueueTimeout,
        SakugaError,
        ServerError,
        ServerUnavailable,
        TooLarge,
    )
    from sakuga_core.logs import request_id
    from sakuga_core.options import Region
    from sakuga_core.progress import Progress

__all__ = [
    "ArtifactDetector",
    "ArtifactFixProvider",
    "AuraSRProvider",
    "AutoDetector",
    "BadImage",
    "BadInput",
    "BadOption",
    "Cancelled",
    "Config",
    "ConfigError",
    "DeadlineExceeded",
    "DetectorError",
    "ImageAction",
    "ImageProvider",
    "Images",
    "ModelNotInstalled",
    "ModelNotLoaded",
    "Overloaded",
    "PermissionDenied",
    "Progress",
    "ProviderError",
    "QueueTimeout",
    "RealESRGANProvider",
    "Region",
    "RembgProvider",
    "Reply",
    "SakugaError",
    "ServerError",
    "ServerUnavailable",
    "SyncImages",
    "TooLarge",
    "connect",
    "connect_sync",
    "fix_artifacts",
    "inpaint_regions",
    "load_config",
    "request_id",
    "trace_context",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sakuga' has no attribute {name!r}")
    from sakuga import _public

    return getattr(_public, name)
