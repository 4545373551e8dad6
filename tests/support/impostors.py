"""Files that are something else, or two things at once."""

import gzip
import io
import zipfile
from random import Random

from pictures import encoded, gradient

MARKS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0"),
    *(b"BM", b"qoif", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"8BPS\0\1", b"\0\0\1\0\1\0"),
    *(b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\0\0\0WEBPVP8L", b"RIFF\xff\0\0\0WEBPVP8X"),
    *(b"\0\0\0\x1cftypavif", b"\0\0\0\x1cftypheic", b"\0\0\0\x1cftypmif1", b"\0\0\x02\0\0\0\0\0"),
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
HTML = b"<html><script>alert(document.cookie)</script></html>"
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert)>>>>endobj"
PHP = b"<?php system($_GET['c']); ?>"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("../../etc/passwd", bytes(10**6))
    return file.getvalue()


def others(chance: Random) -> bytes:
    """No picture that anybody reads."""
    return chance.choice(
        (
            *(b"", b"\x89", b"BM", b"RIFF", bytes(5_000), b"BMW is a car\n" * 9, SVG, HTML, PDF),
            *(POSTSCRIPT, archive(), gzip.compress(bytes(10**7)), b"\x7fELF" + bytes(200)),
            *(b"#!/bin/sh\nrm -rf /\n", b"P6 99999 99999 255\n", b"OggS" + bytes(99)),
            *("\ufeffwhat\n".encode("utf-16"), chance.randbytes(chance.randrange(3_000))),
        )
    )


def marked(chance: Random) -> bytes:
    """The first bytes of a format, and then anything."""
    count = chance.choice((0, 9, 60, 2_000))
    body = chance.randbytes(count) if chance.random() < 0.7 else bytes(count)
    return chance.choice(MARKS) + body


def polyglot(chance: Random, sound: dict[str, bytes]) -> bytes:
    """A picture that is also a script, an archive or another picture."""
    data = sound[chance.choice(sorted(sound))]
    other = chance.choice((HTML, PHP, PDF, archive(), sound[chance.choice(sorted(sound))]))
    return other + data if chance.random() < 0.3 else data + other


def cloaked(chance: Random) -> bytes:
    """Scripts where a picture has comments."""
    comment = b"*/=1;alert(1)/*" + chance.choice((PHP, HTML, SVG))
    return encoded(gradient(24, 16), chance.choice(("GIF", "JPEG")), comment=comment)
