"""The protocol between client and server: the names of Triton models and tensors.

Nothing here imports Triton, gRPC or NumPy: every room reads it, so a name is written once.
"""

from typing import Literal

# Tensors of the public models. All are BYTES of shape [1].
IMAGE = "IMAGE"  # an encoded picture file
OPTIONS = "OPTIONS"  # a JSON object, optional
RESULT = "RESULT"  # an encoded picture file; for `format: raw` pixels, of REPORT's shape
REPORT = "REPORT"  # a JSON object

# Every pipeline from file to file has a twin that streams (Triton: decoupled): it answers with any
# number of responses that have PROGRESS alone, then with one that has RESULT and REPORT.
PROGRESS = "PROGRESS"  # a JSON object: unit, done, total
STREAM = "_stream"  # at the end of the twin's name

# Tensors of the networks. Batches come first; heights and widths are free.
NET_IMAGE = "IMAGE"  # uint8 (B, H, W, 3), or (B, H, W, 6): high bytes, then low bytes, of 16 bits
NET_RESULT = "RESULT"  # uint8 (B, scale·H, scale·W, 3)
EIGHT_BITS = (NET_RESULT,)  # the outputs that may be computed in bfloat16
NET_RESULT_16 = "RESULT_16"  # int32 (B, scale·H, scale·W, 3) in 0…65535
NET_DENOISE = "DENOISE"  # uint8 (B, n), see `denoise_length`
NET_INNER = "INNER"  # uint8 (B, 1|2, 1|2, 1|2, 1|2), see `inner_shape`
NET_MEANS = "MEANS"  # float32 (B, 1 + channels of all layers), see `shares`
NET_FEATURES = "FEATURES"  # float32 (B, C, H, W), between two parts of a network
NET_LETTERBOX = "LETTERBOX"  # uint8 (B, 1), see `SegmenterFacts.letterbox`
NET_MASK = "MASK"  # float32 (B, side, side), as the network predicts it: not normalised
NET_HOLE = "HOLE"  # uint8 (B, H, W): 1 where a network inpaints, 0 elsewhere

# A request parameter of networks: a text that no other image has. A server on a CPU may then answer
# with an empty output, which means that the image is being computed. The caller asks again, or
# gives the image up, by a second parameter and an IMAGE of the same size.
TILE_KEY, TILE_CALL = "tile", "call"
AGAIN, GIVE_UP = "again", "give_up"
TILE_LOST = "the process that computed this tile has ended"  # the error then; begin anew

# Request parameters of the public models, all optional. ACTION: what the caller wants, where a
# model serves several. ATTEMPT: 1, then 2 and so on where a client sends a picture again. SENT:
# when, in microseconds since 1970. UNCOUNTED: it is no caller's picture, but a probe.
ACTION, ATTEMPT, SENT, UNCOUNTED = "action", "attempt", "sent", "uncounted"

# The header by which a gateway takes and gives the id of a request.
REQUEST_ID = "X-Request-ID"

# An RRDBNet has two more files, for OpenVINO: its body, which outputs FEATURES, and its tail, whose
# receptive field has this radius in pixels of FEATURES.
OPENVINO_FILE, TAIL_FILE = "openvino.onnx", "openvino-tail.onnx"
TAIL_PADDING = 2

# The administration of a server needs a key: in this environment variable, and in a header of this
# name (over gRPC with a prefix of Triton's).
ADMIN_KEY, ADMIN_HEADER = "SAKUGA_ADMIN_KEY", "admin"

UPSCALE = "upscale"  # the pipeline that serves every super-resolution network
FIX_ARTIFACTS = "fix_artifacts"  # the pipeline that finds damage, undoes it, then upscales
REMBG = "rembg"  # the pipeline that serves every network for background removal

# The pipeline that lists networks, and loads one that a request needs: OPTIONS in, REPORT out.
NETWORKS = "networks"


def streaming(model: str) -> str:
    """The twin of a public model that streams progress: `upscale_stream`."""
    return f"{model}{STREAM}"


_PROGRAMS = (UPSCALE, FIX_ARTIFACTS, REMBG)  # from file to file, each with its twin
PIPELINES = (*_PROGRAMS, *map(streaming, _PROGRAMS), NETWORKS)

ALIASES = {
    "realesrgan-anime-6b": "realesrgan-x4plus-anime",
    "u2net_human_seg": "u2net-human-seg",  # rembg's name
}

DENOISE_STEPS = 1000


def denoise_length(strength: float) -> int:
    """How long the tensor DENOISE is for a strength of 0 to 1, in thousandths.

    The strength travels as a *shape* because Triton joins requests into one batch only where their
    shapes agree: so pictures of different strengths never share a batch, and a batch needs the
    interpolated weights once.
    """
    return 1 + round(strength * DENOISE_STEPS)


Inner = tuple[bool, bool, bool, bool]
"""Whether the top, bottom, left and right side of a tile lie inside the picture."""


def inner_shape(inner: Inner) -> tuple[int, int, int, int]:
    """The shape of the tensor INNER without the batch axis: 2 for an inner side, 1 for a border of
    the picture. A shape, so that a batch only joins tiles whose results have one size.
    """
    top, bottom, left, right = (1 + side for side in inner)
    return top, bottom, left, right


def shares(layer: int) -> str:
    """The output SHARES_1 and so on, float32 (B, C + 1), of a network with a layer that needs the
    means of C channels over the whole picture: a window's sums, then how many samples these are of.

    MEANS tells how many of these layers' means are known, and those; a layer beyond takes its
    window's own, so 0 and zeros are for whole pictures. In windows a picture's means come from the
    shares of all windows, layer by layer. To add up, windows may share no more than the padding.
    """
    return f"SHARES_{layer + 1}"


# A picture that such a network sees whole may be so many times longer than its largest tile, if it
# has no more pixels than that.
LONGER = 1.5


def canonical(model: str) -> str:
    """A model's name as config.yaml and options write it, aliases resolved."""
    return ALIASES.get(model, model)


def folder(model: str) -> str:
    """The name of a model's folder in the repository: `realesrgan_x4plus_anime`."""
    return canonical(model).replace("-", "_")


def ensemble(model: str) -> str:
    """The public Triton model that removes backgrounds by one network: `rembg_isnet_anime`. Its
    only step is REMBG, of which it takes `result_by` that network."""
    return f"rembg_{folder(model)}"


Kind = Literal["upscale", "segment", "inpaint"]
"""What a network does."""


def result_by(model: str) -> str:
    """REMBG's RESULT by a network, whatever OPTIONS say of it: `RESULT_ISNET_ANIME`. It stands for
    the option `model` where an ensemble, which can't add options, calls the pipeline."""
    return f"{RESULT}_{folder(model).upper()}"
