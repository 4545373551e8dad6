"""ICC profiles: whether they are sound and fit the pixels, and plain ones made of a few numbers
(ICC.1:2022)."""

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Pairs = tuple[tuple[float, float], ...]

SRGB_PRIMARIES: Pairs = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
D65 = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])  # of the profile connection space
# Bradford's cone responses (ICC.1:2022, annex E)
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

# Parametric curves of type 3: exponent, a, b, c, d; of type 0: the exponent alone.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def checked(profile: bytes) -> bytes:
    """A profile without what lies behind it.

    Raises:
        ValueError: it isn't a sound one.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("it has no ICC header")
    size = int.from_bytes(profile[:4], "big")
    if not 132 <= size <= len(profile):
        raise ValueError("it is truncated")
    profile = profile[:size]
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError) as error:
        raise ValueError("its tags can't be read") from error
    return profile


def space(profile: bytes) -> str:
    """What pixels it is for: `RGB`, `GRAY`, `CMYK`, …"""
    return profile[16:20].decode("latin-1").strip()


def tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = profile[132 : 132 + 12 * min(count, len(profile) // 12)]
    whole = len(entries) // 12 * 12
    found = struct.iter_unpack(">4sII", entries[:whole])
    return {name: profile[at : at + size] for name, at, size in found}


def for_rgb(gray: bytes) -> bytes | None:
    """A profile for RGB that shows equal channels as a profile for gray shows them; None where its
    curve can't be taken over."""
    curve = tags(gray).get(b"kTRC", b"")
    return _profile(SRGB_PRIMARIES, D65, curve) if curve[:4] in (b"curv", b"para") else None


def for_gray(rgb: bytes) -> bytes | None:
    """The inverse: None where the profile has no curve that all channels share."""
    found = tags(rgb)
    curves = {found.get(name, b"") for name in (b"rTRC", b"gTRC", b"bTRC")}
    curve = curves.pop()
    if curves or curve[:4] not in (b"curv", b"para"):
        return None
    return _assembled(b"GRAY", [(b"wtpt", _xyz(_D50)), (b"kTRC", curve)])


def of_primaries(primaries: Pairs, white: tuple[float, float], curve: tuple[float, ...]) -> bytes:
    """A profile for RGB.

    Args:
        primaries: x and y of red, green and blue.
        curve: a parametric curve, of type 0 or 3, from samples to light.

    Raises:
        ValueError: the primaries span no colours.
    """
    kind = 0 if len(curve) == 1 else 3
    return _profile(primaries, white, struct.pack(">4s4xHH", b"para", kind, 0) + _fixed(*curve))


def of_table(primaries: Pairs, light: npt.NDArray[np.float64], cicp: bytes) -> bytes:
    """A profile whose curve is a table of 0…1, with the numbers of ITU-T H.273 beside it, by which
    those programs show it that know them."""
    table = np.rint(np.clip(light, 0, 1) * 65535).astype(">u2").tobytes()
    curve = struct.pack(">4s4xI", b"curv", len(light)) + table
    return _profile(primaries, D65, curve, [(b"cicp", b"cicp" + bytes(4) + cicp)])


def is_srgb(profile: bytes) -> bool:
    """Whether it shows 8-bit pixels as sRGB does, within a level."""
    if space(profile) not in ("RGB", "GRAY"):
        return False
    steps = np.arange(0, 256, 15, np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    pixels = steps[None] if space(profile) == "GRAY" else np.ascontiguousarray(cube)
    shown = Converter(profile)(pixels)
    return int(np.abs(shown.astype(int) - pixels).max()) <= 1


class Converter:
    """8-bit pixels of a profile to sRGB."""

    def __init__(self, profile: bytes) -> None:
        """
        Raises:
            ValueError: the profile can't be applied.
        """
        gray = space(profile) == "GRAY"
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        # Little CMS replaces a gray curve by a table that is off by seven levels near black.
        flags = ImageCms.Flags.NOOPTIMIZE if gray else ImageCms.Flags.NONE
        try:
            mode = "L" if gray else "RGB"
            self._transform = ImageCms.buildTransform(source, target, mode, "RGB", flags=flags)
        except ImageCms.PyCMSError as error:
            raise ValueError("the colour profile can't be applied") from error
        levels = np.arange(256, dtype=np.uint8)[None]
        self._table = self._applied(levels)[0, :, 1] if gray else None

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """(H, W) of gray profiles and (H, W, 3) of RGB ones, in the same shape."""
        return self._applied(pixels) if self._table is None else self._table[pixels]

    def _applied(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), self._transform))


def _profile(
    primaries: Pairs,
    white: tuple[float, float],
    curve: bytes,
    more: list[tuple[bytes, bytes]] | None = None,
) -> bytes:
    adapted, adaptation = _columns(primaries, white)
    parts = [(b"wtpt", _xyz(_D50)), (b"chad", b"sf32" + bytes(4) + _fixed(*adaptation.ravel()))]
    parts += [(f"{c}XYZ".encode(), _xyz(adapted[:, n])) for n, c in enumerate("rgb")]
    parts += [(f"{c}TRC".encode(), curve) for c in "rgb"]
    return _assembled(b"RGB ", parts + (more or []))


def _columns(
    primaries: Pairs, white: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """XYZ of the primaries under D50, and the matrix that adapts the white to it."""
    try:
        columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
        target = np.array([white[0] / white[1], 1.0, (1 - sum(white)) / white[1]])
        scaled = columns * np.linalg.solve(columns, target)
    except (ZeroDivisionError, np.linalg.LinAlgError):
        raise ValueError("its primaries span no colours") from None
    adaptation = np.linalg.inv(_CONES) @ np.diag((_CONES @ _D50) / (_CONES @ target)) @ _CONES
    adapted = adaptation @ scaled
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 10:
        raise ValueError("its primaries span no colours")
    return adapted, adaptation


def _assembled(colours: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    parts = [(b"desc", _text("Colours of the original")), (b"cprt", _text("CC0")), *parts]
    at = 132 + 12 * len(parts)
    table, bodies = struct.pack(">I", len(parts)), b""
    for name, body in parts:
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x12s48x",
        *(at + len(bodies), b"", 0x04400000, b"mntr", colours, b"XYZ ", b"acsp"),
        struct.pack(">3i", *np.rint(_D50 * 65536).astype(int)),
    )
    return head + table + bodies


def _text(value: str) -> bytes:
    body = value.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(body), 28) + body


def _xyz(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
