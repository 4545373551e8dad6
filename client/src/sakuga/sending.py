"""A picture as a request to a gateway has it: the body itself, or a form."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sakuga_core.actions import Action

CHUNK = 256 * 1024  # bytes that are sent at a time
LONGEST_QUERY = 2000  # letters of the options in an address; proxies take few more
RAW = "application/octet-stream"


@dataclass(frozen=True)
class Picture:
    """A picture to send."""

    action: Action
    data: bytes = field(repr=False)
    options: Mapping[str, Any]
    """As JSON values."""

    def request(self, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """The arguments of a request, as httpx has them. The picture isn't copied.

        Args:
            fields: besides the options.
            headers: of the request.
        """
        rest = {name: value for name, value in self.options.items() if name != "mask"}
        fields = {**fields, **({"options": json.dumps(rest)} if rest else {})}
        mask = self.options.get("mask")
        if mask or len(quote(fields.get("options", ""))) > LONGEST_QUERY:
            files = {"image": ("image", self.data, RAW)}
            files |= {"mask": ("mask", base64.b64decode(mask), RAW)} if mask else {}
            return {"data": fields, "files": files, "headers": dict(headers)}
        sized = {"Content-Length": str(len(self.data)), "Content-Type": RAW, **headers}
        return {"params": fields, "content": self._chunks(), "headers": sized}

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), CHUNK):
            yield self.data[start : start + CHUNK]
