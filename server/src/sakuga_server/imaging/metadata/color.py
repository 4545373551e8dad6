"""What PNG's colour chunks and H.273's numbers mean, as ICC profiles."""

import struct

import numpy as np
import numpy.typing as npt

from sakuga_server.imaging.metadata import icc
from sakuga_server.imaging.metadata.record import Color, Metadata

Floats = npt.NDArray[np.float64]

_C = (0.310, 0.316)  # the white of NTSC

# Primaries and white of ITU-T H.273, table 2.
_PRIMARIES = {
    1: (icc.SRGB_PRIMARIES, icc.D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), icc.D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), icc.D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), icc.D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), icc.D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), icc.D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), icc.D65),
}
# Its table 3. What television's cameras have (1, 6, 14, 15) is shown like sRGB, as browsers do.
_CURVES = {
    **dict.fromkeys((1, 6, 13, 14, 15), icc.SRGB_CURVE),
    **{4: (2.2,), 5: (2.8,), 8: (1.0,)},
}
PQ, HLG, UNSPECIFIED = 16, 18, 2
_STEPS = 4096
_WHITE = 203  # candelas per square metre of paper (ITU-R BT.2408)

_SRGB_CHROMATICITIES = np.array([31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000])
_NEAR = 200  # of 100,000: what writers round to


def profile(color: Color) -> bytes | None:
    """The ICC profile of samples of these colours; None where they are those of sRGB.

    Raises:
        ValueError: no profile says it.
    """
    if color.cicp is not None:
        return _of_cicp(color.cicp)
    if color.srgb is not None or (color.gamma is None and color.chromaticities is None):
        return None
    return _of_chunks(color.gamma, color.chromaticities)


def to_srgb(metadata: Metadata) -> icc.Converter | None:
    """What turns 8-bit pixels with this metadata into sRGB; None where they are sRGB's already.

    Raises:
        ValueError: no profile says their colours, or theirs can't be applied.
    """
    own = metadata.icc or (profile(metadata.color) if metadata.color else None)
    return None if own is None or icc.is_srgb(own) else icc.Converter(own)


def _of_cicp(cicp: tuple[int, int, int, int]) -> bytes | None:
    primaries, transfer, _, full = cicp
    primaries = 1 if primaries == UNSPECIFIED else primaries
    transfer = 13 if transfer == UNSPECIFIED else transfer
    curve = _CURVES.get(transfer)
    if primaries == 1 and curve == icc.SRGB_CURVE and full:
        return None
    if primaries not in _PRIMARIES or not full or (curve is None and transfer not in (PQ, HLG)):
        raise ValueError("its numbers of H.273 have no ICC profile")
    if curve is not None:
        return icc.of_primaries(*_PRIMARIES[primaries], curve)
    table = _pq() if transfer == PQ else _hlg()
    return icc.of_table(_PRIMARIES[primaries][0], table, bytes((primaries, transfer, 0, 1)))


def _of_chunks(gamma: int | None, chromaticities: tuple[int, ...] | None) -> bytes | None:
    values = np.array(chromaticities or _SRGB_CHROMATICITIES)
    plain = bool((np.abs(values - _SRGB_CHROMATICITIES) <= _NEAR).all())
    if plain and (gamma is None or abs(gamma - 45455) <= _NEAR):
        return None
    x, y = (values[0::2] / 100_000).tolist(), (values[1::2] / 100_000).tolist()
    white, *primaries = zip(x, y, strict=True)
    curve = icc.SRGB_CURVE if gamma is None else (100_000 / gamma,)
    return icc.of_primaries(tuple(primaries), white, curve)


def _pq() -> Floats:
    """SMPTE ST 2084's light, with paper white as 1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.linspace(0, 1, _STEPS) ** (1 / m2)
    light: Floats = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light * (10_000 / _WHITE)


def _hlg() -> Floats:
    """ARIB STD-B67's light, with its paper white, which is coded as 0.75, as 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    coded = np.linspace(0, 1, _STEPS)
    light = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    white = (np.exp((0.75 - c) / a) + b) / 12
    result: Floats = light / white
    return result


def checked_gamma(body: bytes) -> int:
    """PNG's gAMA.

    Raises:
        ValueError: damaged, or of no use.
    """
    (gamma,) = _numbers(body, 1)
    if not 1_000 <= gamma <= 1_000_000:
        raise ValueError(f"it says {gamma}")
    return gamma


def checked_chromaticities(body: bytes) -> tuple[int, int, int, int, int, int, int, int]:
    """PNG's cHRM.

    Raises:
        ValueError: damaged, or of colours that can't be.
    """
    values = _numbers(body, 8)
    _of_chunks(None, values)
    a, b, c, d, e, f, g, h = values
    return a, b, c, d, e, f, g, h


def checked_cicp(body: bytes) -> tuple[int, int, int, int]:
    """PNG's cICP.

    Raises:
        ValueError: damaged, or for samples that a PNG doesn't have.
    """
    if len(body) != 4 or body[2] != 0 or body[3] > 1:
        raise ValueError("it is none for RGB")
    return body[0], body[1], body[2], body[3]


def _numbers(body: bytes, count: int) -> tuple[int, ...]:
    if len(body) != 4 * count:
        raise ValueError(f"it has {len(body)} bytes, not {4 * count}")
    return struct.unpack(f">{count}I", body)
