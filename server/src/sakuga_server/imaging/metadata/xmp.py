"""XMP packets (ISO 16684-1; Adobe's part 3 for how JPEG splits long ones)."""

import hashlib
import re
from xml.dom import minidom
from xml.parsers import expat

NOTE = "http://ns.adobe.com/xmp/note/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_NUMBERS = (
    ("tiff:Orientation", "1"),
    ("tiff:ImageWidth", "{width}"),
    ("tiff:ImageLength", "{height}"),
    ("exif:PixelXDimension", "{width}"),
    ("exif:PixelYDimension", "{height}"),
)
_THUMBNAILS = b"<xmp:Thumbnails", b"</xmp:Thumbnails>"
_WRAPPER = re.compile(rb"<\?xpacket[^>]{0,200}\?>")
# Known schemas have ten elements in each other; the longest packets have some ten thousands.
_DEEPEST, _MOST, _MOST_TO_MERGE = 100, 1_000_000, 100_000


def checked(packet: bytes) -> bytes:
    """A packet without padding, in UTF-8.

    Raises:
        ValueError: it isn't sound XML, or has a document type, with which XML can be made to grow
            without bound.
    """
    if packet[:2] in (b"\xfe\xff", b"\xff\xfe"):
        packet = packet.decode("utf-16", "strict").encode()
    packet = packet.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEEPEST or count > _MOST:
            raise ValueError("it has too many elements")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def document_type(*_: object) -> None:
        raise ValueError("it has a document type")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise ValueError(f"its XML is broken: {error}") from error
    return packet


def orientation(packet: bytes) -> int:
    """What `tiff:Orientation` says; 1 where it says nothing."""
    found = re.search(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])\s*[<\"']", packet)
    return int(found[1]) if found else 1


def upright(packet: bytes) -> bytes:
    """A packet that neither turns its picture nor holds a thumbnail of it."""
    return _with_numbers(_without_thumbnails(packet), _NUMBERS[:1])


def resized(packet: bytes, width: int, height: int) -> bytes:
    """A packet that tells the size of its picture wherever it told one."""
    numbers = [(name, value.format(width=width, height=height)) for name, value in _NUMBERS[1:]]
    return _with_numbers(packet, tuple(numbers))


def _with_numbers(packet: bytes, numbers: tuple[tuple[str, str], ...]) -> bytes:
    for name, value in numbers:
        pattern = rf"({name}(?:\s*=\s*[\"']|>)\s*)\d+(\s*[<\"'])".encode()
        packet = re.sub(pattern, rb"\g<1>" + value.encode() + rb"\g<2>", packet)
    return packet


def _without_thumbnails(packet: bytes) -> bytes:
    opening, closing = _THUMBNAILS
    if packet.count(opening) != packet.count(closing):
        return packet
    first, *pieces = packet.split(opening)
    return first + b"".join(piece.partition(closing)[2] for piece in pieces)


def split(packet: bytes) -> tuple[bytes, str, bytes]:
    """A packet that is too long for one segment of JPEG, as part 3 of the specification has it.

    Returns:
        A short packet that points to the rest, the GUID under which it does, and the rest.
    """
    rest = _WRAPPER.sub(b"", packet).strip()
    guid = hashlib.md5(rest, usedforsecurity=False).hexdigest().upper()
    short = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:xmpNote="{NOTE}" xmpNote:HasExtendedXMP="{guid}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    return _wrapped(short), guid, rest


def merged(packet: bytes, rest: bytes) -> bytes:
    """The inverse of `split`, also for packets whose short part says more. Both are `checked`.

    Raises:
        ValueError: one of them has no RDF, or so much of it that its tree would fill the memory.
    """
    if sum(part.count(b"<") + part.count(b"=") for part in (packet, rest)) > _MOST_TO_MERGE:
        raise ValueError("it has too many elements")
    short, long = minidom.parseString(packet), minidom.parseString(rest)
    targets = short.getElementsByTagNameNS(RDF, "RDF")
    sources = long.getElementsByTagNameNS(RDF, "RDF")
    whole = short.documentElement
    if not targets or not sources or whole is None:
        raise ValueError("it has no RDF")
    for node in _elements(targets[0]):
        _without_pointer(node)
        if not _says_something(node):
            targets[0].removeChild(node)
    for node in _elements(sources[0]):
        targets[0].appendChild(short.importNode(node, True))
    return _wrapped(whole.toxml())


def _wrapped(text: str) -> bytes:
    """With the marks by which programs find a packet that know nothing of its file."""
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}{text}<?xpacket end="w"?>'.encode()


def _without_pointer(node: minidom.Element) -> None:
    if node.hasAttributeNS(NOTE, "HasExtendedXMP"):
        node.removeAttributeNS(NOTE, "HasExtendedXMP")
    for child in node.getElementsByTagNameNS(NOTE, "HasExtendedXMP"):
        if child.parentNode is node:
            node.removeChild(child)


def _says_something(node: minidom.Element) -> bool:
    names = [str(name) for name, _ in node.attributes.items()]
    plain = all(name == "rdf:about" or name.startswith("xmlns") for name in names)
    return bool(_elements(node)) or not plain


def _elements(parent: minidom.Element) -> list[minidom.Element]:
    return [node for node in parent.childNodes if isinstance(node, minidom.Element)]
