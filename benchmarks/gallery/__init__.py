"""Drawn pictures of several kinds, each drawn by code and always the same."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from gallery import cel, lettering, line_art, painted, pixel_art, screentone

Draw = Callable[[], Image.Image]


@dataclass(frozen=True)
class Drawing:
    """A picture, RGB, `common.SIDE` pixels wide and high."""

    kind: str
    name: str
    draw: Draw


BY_KIND: dict[str, tuple[Draw, ...]] = {
    "line art": (line_art.fox_girl, line_art.swordsman, line_art.pagoda, line_art.bouquet),
    "cel": (cel.heroine, cel.mascot, cel.witch, cel.robot),
    "painted": (painted.sunset, painted.forest, painted.portrait, painted.storm),
    "pixel art": (pixel_art.platform, pixel_art.village, pixel_art.space, pixel_art.bust),
    "text": (lettering.dialogue, lettering.menu, lettering.print_page, lettering.subtitles),
    "screentone": (screentone.girl, screentone.town, screentone.clash, screentone.patterns),
}
DRAWINGS = tuple(
    Drawing(kind, draw.__name__, draw) for kind, draws in BY_KIND.items() for draw in draws
)
