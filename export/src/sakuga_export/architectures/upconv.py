"""UpConv-7, the small network of waifu2x: seven convolutions, the last of which doubles the size
(nagadomi/waifu2x, 2016)."""

from torch import Tensor, nn

from sakuga_export.architectures.bordered import Border, Bordered, conv3x3, leaky

FEATURES = (16, 32, 64, 128, 128, 256)


class UpConv7(Bordered):
    """2x super-resolution; see `Bordered`. The receptive field reaches 7 pixels to every side."""

    def __init__(self) -> None:
        super().__init__(Border(7), scale=2)
        inputs = (3, *FEATURES)
        self.body = nn.ModuleList(map(conv3x3, inputs, FEATURES))
        self.up = nn.ConvTranspose2d(FEATURES[-1], 3, kernel_size=4, stride=2, padding=3)

    def forward(self, x: Tensor, inner: Tensor | None = None) -> Tensor:
        features = self.seen(x, inner)
        for conv in self.body:
            features = leaky(conv(features))
        return self.cut(self.up(features), x, inner)
