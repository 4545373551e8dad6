"""The receptive field of a network that nobody described: measured, not guessed."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

# No receptive field is over this. Real-ESRGAN's x2plus has about 700, in pixels of which it joins
# four.
MOST = 1024
# Beyond what NaN reaches, the gradient is followed so far, at least.
BEYOND = 256

# How far results in double precision may differ where they should be equal, of their largest: sums
# are added up in another order.
ROUNDING = 1e-6
# Windows begin at, and end before the picture's end, as many multiples as this. Networks that look
# at their own blocks of 8, 16, … pixels see another picture in at least one of each.
SHIFTS = ((1, 3), (5, 2))

Net = Callable[[Tensor], Tensor]
"""(1, channels, H, W) to (1, channels, scale·H, scale·W), in double precision: oneDNN's Winograd
convolutions, which spread a pixel over its neighbours' results, are for floats only."""


class UnboundedReceptiveField(Exception):
    """No padding makes a tile's result equal the whole picture's; the text says why."""


def measured(net: Net, channels: int, scale: int, multiple: int, breadth: int) -> int:
    """Radius of the receptive field, in pixels of the input: no smaller one would do for any
    weights.

    Args:
        net: see `Net`.
        channels: that it takes.
        scale: how many times wider and higher its result is.
        multiple: the sides of what it takes are multiples of this, of which every phase is looked
            at.
        breadth: of strips that it takes.

    Raises:
        UnboundedReceptiveField: it is MOST or more, has no bound, or depends on where in a picture
        a tile is.
    """
    axes = [Strips(net, channels, scale, multiple, breadth, upright) for upright in (False, True)]
    radius = max(strips.reach() for strips in axes)
    for strips, shifts in product(axes, SHIFTS):
        strips.compare(radius, *shifts)
    return radius


class Strips:
    """Narrow pictures along one axis. A network that doesn't look at the other axis' length has the
    same reach in them as in a whole picture, for far less work."""

    def __init__(
        self, net: Net, channels: int, scale: int, multiple: int, breadth: int, upright: bool
    ) -> None:
        self.net, self.channels, self.scale = net, channels, scale
        self.multiple, self.breadth, self.upright = multiple, breadth, upright

    def reach(self) -> int:
        """How far a pixel is seen, whatever its phase."""
        # A whole block, of all phases, in a strip as long as may be needed: fields can have gaps.
        at = self.whole(MOST)
        bound = self.spread(slice(at, at + self.multiple), at)
        beyond = self.beyond(bound) if bound < MOST else 0
        if max(bound, beyond) >= MOST:
            raise UnboundedReceptiveField(f"its results depend on pixels {MOST} and more away")
        found = self.exact(self.spread, bound)
        return max(found, self.exact(self.support, beyond)) if beyond > bound else found

    def exact(self, reach: Callable[[slice, int], int], bound: int) -> int:
        """How far a pixel reaches at most, where a whole block reaches so far."""
        if self.multiple == 1:
            return bound
        at = self.whole(bound)
        return max(reach(slice(p, p + 1), at) for p in range(at, at + self.multiple))

    def beyond(self, bound: int) -> int:
        """How far the gradient reaches where NaN spreads so far."""
        found = 0
        for at in (self.whole(min(MOST, 2 * bound + BEYOND)), self.whole(MOST)):
            found = self.support(slice(at, at + self.multiple), at)
            if found < at:
                break
        return found

    def spread(self, places: slice, at: int) -> int:
        """How far NaN spreads, of a block that has `at` pixels on either side: through every
        convolution, whatever its weights are."""
        image = self.noise(2 * at + self.multiple)
        self.along(image)[..., places] = torch.nan
        with torch.inference_mode():
            return _farthest(self.pixels(self.net(image).isnan()), places)

    def support(self, places: slice, at: int) -> int:
        """How far the gradient reaches: also past what NaN doesn't pass, if weights aren't zero."""
        image = self.noise(2 * at + self.multiple).requires_grad_()
        chosen = slice(places.start * self.scale, places.stop * self.scale)
        result = self.along(self.net(image))[..., chosen].sum()
        if not result.requires_grad:
            return 0
        (gradient,) = torch.autograd.grad(result, image)
        return _farthest(self.along(gradient != 0), places)

    def compare(self, radius: int, start: int, end: int) -> None:
        """Holds a window's result against the whole strip's, a radius away from where it was cut.

        Raises:
            UnboundedReceptiveField: they differ.
        """
        padding = self.whole(radius)
        length = self.whole(2 * padding + 32) + (start + end) * self.multiple
        cut = slice(start * self.multiple, length - end * self.multiple)
        kept = slice((cut.start + padding) * self.scale, (cut.stop - padding) * self.scale)
        image = self.noise(length)
        with torch.inference_mode():
            whole = self.along(self.net(image))[..., kept]
            part = self.along(self.net(self.part(image, cut)))
        part = part[..., padding * self.scale : part.shape[-1] - padding * self.scale]
        if float((whole - part).abs().max()) > ROUNDING * max(1, float(whole.abs().max())):
            raise UnboundedReceptiveField("its results depend on where in the picture a tile is")

    def whole(self, length: int) -> int:
        """`length`, rounded up to the multiple."""
        return -(-length // self.multiple) * self.multiple

    def noise(self, length: int) -> Tensor:
        sides = (length, self.breadth) if self.upright else (self.breadth, length)
        random = torch.Generator().manual_seed(0)
        return torch.rand(1, self.channels, *sides, dtype=torch.double, generator=random)

    def along(self, values: Tensor) -> Tensor:
        """(1, channels, breadth, length), whichever way the strip lies."""
        return values.transpose(2, 3) if self.upright else values

    def part(self, image: Tensor, cut: slice) -> Tensor:
        return image[..., cut, :] if self.upright else image[..., cut]

    def pixels(self, touched: Tensor) -> Tensor:
        """For pixels of the result, the pixels of the input that they lie in."""
        length = self.along(touched).shape[-1] // self.scale
        return self.along(touched).reshape(1, -1, 1, length, self.scale).any(dim=-1)


def _farthest(touched: Tensor, places: slice) -> int:
    """The largest distance between one of `places` and what is touched, along the last axis."""
    found = touched.flatten(0, -2).any(dim=0).nonzero().ravel()
    if not len(found):
        return 0
    first, last = int(found.min()), int(found.max())
    return max(last - int(places.start), int(places.stop) - 1 - first)
