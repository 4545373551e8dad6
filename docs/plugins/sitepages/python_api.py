"""The page of the Python interface: its names, for mkdocstrings to describe."""

from sakuga_core.errors import SakugaError
from sitepages.errors import described
from sitepages.markdown import code, page, sentence, table

ABOUT = """# Python API

What `import sakuga` gives, and the modules of `sakuga_core` that programs may use beside it.
[Python](../guides/python.md) explains it by examples."""

PICTURES = """A picture is an encoded file, as bytes or by its path, unless stated otherwise.
The methods named after actions also take NumPy arrays and Pillow images: NumPy arrays are
uint8 in 0…255 or uint16 in 0…65535, (H, W) or (H, W, C) with 1 to 4 channels (gray, gray and
alpha, RGB, RGB and alpha; alpha isn't premultiplied). Sizes and regions are in pixels of the
picture after its EXIF orientation is applied, times in seconds."""

# Every name that `sakuga` exports, but the errors, in the order of the page.
GROUPS = {
    "Connections": ("connect", "connect_sync", "Images", "SyncImages"),
    "Actions, results, progress": (
        "ImageAction",
        "Reply",
        "Progress",
        "request_id",
        "trace_context",
    ),
    "Repairing step by step": (
        *("fix_artifacts", "inpaint_regions", "Region"),
        *("ArtifactDetector", "AutoDetector", "ArtifactFixProvider"),
    ),
    "Providers": ("ImageProvider", "RealESRGANProvider", "AuraSRProvider", "RembgProvider"),
    "Configuration": ("load_config", "Config"),
}

CALLS = """The attribute of `Images` for an action is an `ActionCall`, that of `SyncImages` a
`WaitingCall`:"""
OPTIONS = """The classes of options, of which [Options](options.md) lists the fields. A request's
mapping is parsed as one of them."""
CONFIG = (
    "[config.yaml](config.md) lists the settings, which are attributes of `Config` and its blocks."
)


def python_api_page() -> str:
    """Every public name."""
    return page(
        ABOUT,
        PICTURES,
        *(part for title, names in GROUPS.items() for part in _group(title, names)),
        "## Errors {#errors}",
        "[Errors](errors.md) says what to do about each.",
        table(("class", "kind of", "meaning"), map(_error, described())),
        _described("sakuga_core.errors.SakugaError"),
        _described("sakuga_core.errors.from_message"),
        _described("sakuga_core.errors.by_name"),
        _described("sakuga_core.errors.is_retryable"),
        "## Options {#options}",
        OPTIONS,
        *(_described(f"sakuga_core.options.{name}", members="false") for name in _option_classes()),
        _described("sakuga_core.options.parse_options"),
        _described("sakuga_core.options.overridden"),
    )


def _group(title: str, names: tuple[str, ...]) -> list[str]:
    members = {"Config": "[block, options_for, set_options_for]"}
    described = (_described(f"sakuga.{name}", members.get(name, "")) for name in names)
    parts = [f"## {title}", *described]
    if title == "Connections":
        parts += [
            CALLS,
            _described("sakuga.calls.ActionCall"),
            _described("sakuga.calls.WaitingCall"),
        ]
    if title == "Configuration":
        parts.insert(1, CONFIG)
        parts.append(_described("sakuga_core.config.file.refresh"))
    return parts


def _described(path: str, members: str = "") -> str:
    """What mkdocstrings replaces by a name's documentation.

    Args:
        path: of the name.
        members: those to describe, as YAML; if unset, all that are public.
    """
    return f"::: {path}" + (f"\n    options:\n      members: {members}" if members else "")


def _option_classes() -> tuple[str, ...]:
    return "PictureOptions", "UpscaleOptions", "RembgOptions", "FixArtifactsOptions"


def _error(row: tuple[type[SakugaError], str]) -> tuple[str, ...]:
    kind, meaning = row
    base = kind.__mro__[1]
    return (
        f"[{code(kind.__name__)}](errors.md#{kind.__name__})",
        code(base.__name__),
        sentence(meaning),
    )
