"""Requests that attack an HTTP gateway, each as the bytes on the wire.

`http` has those that are HTTP enough to be answered with a problem, `broken` those that aren't:
they get a 400, or their connection is closed.
"""

import gzip
import zlib

from hostile_values import IMAGE, LIMIT, PICTURE, POST, Cases, jobs, options, pictures
from raw_http import BOUNDARY, END, FORM, chunked, form, part, request


def http() -> Cases:
    """Those that get a problem."""
    for group in (_forms, _lengths, _encodings, _names, _heads, _methods, options, jobs):
        yield from group()
    for name, data in pictures():
        yield f"picture-{name}", request(POST, data, kind="image/png")
        yield f"picture-in-form-{name}", form(POST, part(b"image", data, b"a.png"))


def _forms() -> Cases:
    yield "form-empty", form(POST, end=b"")
    yield "form-only-end", form(POST)
    yield "form-no-boundary", form(POST, IMAGE, kind=b"multipart/form-data")
    yield "form-empty-boundary", form(POST, IMAGE, kind=b"multipart/form-data; boundary=")
    yield "form-wrong-boundary", form(POST, IMAGE, kind=b"multipart/form-data; boundary=other")
    yield "form-long-boundary", form(POST, IMAGE, kind=FORM + b"x" * 5000)
    yield "form-non-ascii-boundary", form(POST, IMAGE, kind=FORM + b"\xff\xfe")
    yield "form-no-end", form(POST, IMAGE[:-1], end=b"")
    yield "form-cut", request(POST, IMAGE[: len(IMAGE) // 2], kind=FORM)
    yield "form-cut-in-head", request(POST, IMAGE[:40], kind=FORM)
    yield "form-never-finished", request(POST, IMAGE, kind=FORM, length=len(IMAGE) + 99)
    yield "form-garbage", request(POST, bytes(range(256)) * 40, kind=FORM)
    yield "form-of-boundaries", request(POST, (b"\r\n--" + BOUNDARY) * 5000, kind=FORM)
    yield "form-of-near-boundaries", request(POST, (b"\r\n--" + BOUNDARY[:-1]) * 50_000, kind=FORM)
    yield "form-preamble", request(POST, b"x" * 9999 + IMAGE + END, kind=FORM)
    yield "form-part-without-head", form(POST, b"--%b\r\n\r\nx\r\n" % BOUNDARY, IMAGE)
    head = b"--%b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" % BOUNDARY
    yield "form-part-without-name", form(POST, head, IMAGE)
    yield "form-part-header-huge", form(POST, part(b"image", PICTURE, b"a", b"X: " + b"x" * 99999))
    yield "form-part-header-flood", form(POST, part(b"image", PICTURE, b"a", *[b"X: y"] * 9999))
    yield "form-part-header-broken", form(POST, part(b"image", PICTURE, b"a", b"X \0: y"))
    yield "form-10000-fields", form(POST, IMAGE, *(part(b"f%d" % n, b"1") for n in range(10_000)))
    yield "form-10000-files", form(POST, *[IMAGE] * 1, *[part(b"image", b"x", b"a")] * 10_000)
    yield "form-10000-times-scale", form(POST, IMAGE, *[part(b"scale", b"2")] * 10_000)
    yield "form-two-files", form(POST, IMAGE, IMAGE)
    yield "form-two-scales", form(POST, IMAGE, part(b"scale", b"2"), part(b"scale", b"2"))
    yield "form-huge-field", form(POST, IMAGE, part(b"model", b"x" * (LIMIT + 9999)))
    yield "form-huge-name", form(POST, IMAGE, part(b"n" * 70_000, b"1"))
    yield "form-no-file", form(POST, part(b"scale", b"2"))
    yield "form-text-for-a-file", form(POST, part(b"image", PICTURE))
    yield "form-file-for-a-number", form(POST, IMAGE, part(b"scale", PICTURE, b"a.png"))
    yield "form-wrong-file-name", form(POST, part(b"picture", PICTURE, b"a.png"))
    for charset in (b"undefined", b"idna", b"punycode", b"zlib", b"utf-16", b"a\\0b", b"x" * 999):
        kind = FORM + b"; charset=" + charset
        name = charset[:9].decode().replace("\\", "-")
        yield f"form-charset-{name}", form(POST, IMAGE, part(b"model", b"\xffx.-"), kind=kind)
    yield "form-too-large", form(POST, part(b"image", bytes(LIMIT * 3), b"a"))


def _lengths() -> Cases:
    chunk = bytes(64 * 1024)
    yield "length-absent", request(POST, length=None)
    yield "length-zero", request(POST, PICTURE, length=0)
    yield "length-too-large", request(POST, length=LIMIT * 2)
    yield "length-huge", request(POST, length=2**63 - 1)
    yield "length-too-long", request(POST, PICTURE, length=len(PICTURE) + 1)
    yield "length-too-short", request(POST, PICTURE, length=len(PICTURE) // 2)
    yield "chunked-bomb", _chunked(chunked(*[chunk] * (LIMIT * 3 // len(chunk))))
    yield "chunked-bomb-of-small-chunks", _chunked(chunked(*[b"0"] * (LIMIT * 5 // 2)))
    yield "chunked-never-finished", _chunked(b"5\r\nabcde\r\n")
    yield "chunked-cut", _chunked(b"fff\r\nabcde")
    yield "chunked-nothing", _chunked(chunked())
    yield "chunked-as-form", request(POST, chunked(b"x" * 99), CHUNKED, kind=FORM, length=None)
    yield "chunked-in-gzip", _chunked(chunked(gzip.compress(PICTURE)), b"gzip, chunked")
    yield "expect-too-large", request(POST, b"", "Expect: 100-continue", length=LIMIT * 9)


CHUNKED = b"Transfer-Encoding: chunked"


def _chunked(body: bytes, coding: bytes = b"chunked") -> bytes:
    return request(POST, body, b"Transfer-Encoding: " + coding, kind="image/png", length=None)


def _encodings() -> Cases:
    packed = {
        "gzip": gzip.compress(PICTURE),
        "deflate": zlib.compress(PICTURE),
        "br": b"\x0b\x02\x80hello\x03",
        "zstd": b"\x28\xb5\x2f\xfd",
        "gzip, gzip": gzip.compress(gzip.compress(PICTURE)),
        "rubbish \xff": PICTURE,
    }
    for coding, data in packed.items():
        yield f"encoding-{coding[:7]}", request(POST, data, f"Content-Encoding: {coding}")
    twice = ("Content-Encoding: identity", "Content-Encoding: gzip")
    yield "encoding-twice", request(POST, packed["gzip"], *twice)
    yield (
        "encoding-gzip-bomb",
        request(POST, gzip.compress(bytes(10**7)), "Content-Encoding: gzip", kind=FORM),
    )
    for kind in (
        "application/json",
        "text/plain",
        "text/html",
        "application/xml",
        "multipart/mixed",
    ):
        yield f"type-{kind}", request(POST, b'{"image": 1}', kind=kind)
    yield "type-rubbish", request(POST, b"x", kind=b"\xff/\xfe; ;;=")
    yield "type-not-a-picture", request(POST, b"#!/bin/sh\n", kind="image/png")


def _names() -> Cases:
    for name in (b"\xff\xfe", b"sc\0ale", b"scale\xc3", "\u202escale".encode(), b"__class__"):
        yield f"name-{name!r}", form(POST, IMAGE, part(name, b"2"))
    for value in (b"\xff\xfe", b"2\0", b"\xc3(", b"\xed\xa0\x80", b"../../../etc/passwd", b"%s%n"):
        yield f"value-{value!r}", form(POST, IMAGE, part(b"model", value))
    for query in (b"%ff=1", b"scale=%ff", b"scale=%00", b"\xff=\xff", b"%=%", b"a[b]=1", b"&=&=2"):
        yield f"query-{query!r}", request(b"POST /v1/upscale?" + query, PICTURE)
    yield "query-10000-fields", request(POST + "?" + "&".join(["a=1"] * 10_000), PICTURE)
    yield (
        "query-of-many-options",
        request(POST + "?" + "&".join(f"o{n}=1" for n in range(6000)), PICTURE),
    )
    for path in ("/v1/%ff", "/v1/upscale%00", "/v1/upscale/", "/v1//upscale", "/v1/upscale%2f"):
        yield f"path-{path}", request(f"POST {path}", PICTURE)
    for path in ("/../etc/passwd", "/docs/../../etc/passwd", "/docs/%2e%2e%2fpasswd", "/.git/HEAD"):
        yield f"path-{path}", request(f"GET {path}")
    yield "path-docs-null", request("GET /docs/swagger-ui.css%00")
    yield "path-docs-absolute", request("GET /docs//etc/passwd")
    yield "path-windows", request("GET /docs/..%5c..%5cconfig.yaml")


def _heads() -> Cases:
    yield "url-very-long", request("GET /healthz?" + "a" * 200_000)
    yield "path-very-long", request("GET /" + "a" * 60_000)
    yield "header-very-long", request("GET /healthz", b"", "X-A: " + "a" * 200_000)
    yield "header-flood", request("GET /healthz", b"", *(f"X-{n}: y" for n in range(20_000)))
    yield "header-name-very-long", request("GET /healthz", b"", "X" * 100_000 + ": y")
    yield "host-absent", request("GET /healthz", host=None)
    yield "host-twice", request("GET /healthz", b"", "Host: localhost")
    for host in ("evil.example", "[::1", "a b", "localhost@evil.example", "\xff", ""):
        yield f"host-{host!r}", request(POST, PICTURE, host=host)
    for origin in ("http://evil.example", "null", "http://[::1", "file://", "\xff"):
        yield f"origin-{origin!r}", request(POST, PICTURE, f"Origin: {origin}")
    yield "site-cross", request(POST, PICTURE, "Sec-Fetch-Site: cross-site")
    yield "target-absolute", request("GET http://localhost/nothing")
    yield (
        "prefer-and-rubbish",
        request(POST, b"no picture", "Prefer: \xff;;=,,wait=-1", "Accept: \xff/;q=x,,"),
    )


def _methods() -> Cases:
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "MKCOL"):
        yield f"method-{method}", request(f"{method} /v1/upscale")
    yield "method-POST-healthz", request("POST /healthz", b"x" * 99)
    yield "method-DELETE-openapi", request("DELETE /openapi.json")
    yield "method-OPTIONS-star", request("OPTIONS *")
    preflight = ("Origin: http://evil.example", "Access-Control-Request-Method: POST")
    yield "method-preflight", request("OPTIONS /v1/upscale", b"", *preflight)


def broken() -> Cases:
    """Those that are no HTTP."""
    get, host = b"GET /healthz HTTP/1.1\r\n", b"Host: localhost\r\n"
    yield "garbage", bytes(range(256)) * 8
    yield "nulls", bytes(4096)
    yield "tls", bytes.fromhex("16030100c6010000c203036162") + bytes(200)
    yield "http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "socks", b"\x05\x01\x00" + bytes(64)
    yield "version-9", b"GET /healthz HTTP/9.9\r\n" + host + b"\r\n"
    yield "no-version", b"GET /healthz\r\n\r\n"
    yield "unknown-method", request("STEAL /v1/upscale")
    yield "lower-case-method", request("get /healthz")
    yield "url-not-ascii", b"GET /\xff\xfe HTTP/1.1\r\n" + host + b"\r\n"
    yield "url-with-null", b"GET /heal\0thz HTTP/1.1\r\n" + host + b"\r\n"
    yield "connect", b"CONNECT evil.example:443 HTTP/1.1\r\n" + host + b"\r\n"
    yield "header-without-colon", get + host + b"nothing\r\n\r\n"
    yield "header-with-space", get + host + b"X-A : b\r\n\r\n"
    yield "header-with-null", get + host + b"X-A: b\0c\r\n\r\n"
    yield "header-with-return", get + host + b"X-A: b\rX-B: c\r\n\r\n"
    yield "header-folded", get + host + b"X-A: b\r\n c\r\n\r\n"
    for length in ("-1", "+5", "1e3", "0x10", "5, 5", "5 5", "", "5.0", "9" * 30, "9" * 5000, "٣"):
        body = request(POST.encode(), PICTURE, b"Content-Length: " + length.encode(), length=None)
        yield f"length-{length[:9]!r}", body
    yield "length-twice", request(POST, PICTURE, f"Content-Length: {len(PICTURE)}")
    yield "length-twice-other", request(POST, PICTURE, "Content-Length: 5")
    yield "smuggling-cl-te", request(POST, b"0\r\n\r\nGET /v1/jobs HTTP/1.1\r\n\r\n", CHUNKED)
    yield "smuggling-te-cl", request(POST, b"5\r\nabcde\r\n0\r\n\r\n", CHUNKED, length=3)
    for coding in ("xchunked", "chunked, identity", "identity", "chunked, gzip", "\x0bchunked", ""):
        head = f"Transfer-Encoding: {coding}"
        yield f"coding-{coding!r}", request(POST, chunked(b"abc"), head, length=None)
    twice = request(POST, chunked(b"abc"), CHUNKED, b"Transfer-Encoding: identity", length=None)
    yield "coding-twice", twice
    for size in (b"zz", b"-5", b"0x5", b" 5", b"f" * 17, b"", b"5;\0", b"5\n"):
        yield f"chunk-size-{size!r}", _chunked(size + b"\r\nabcde\r\n0\r\n\r\n")
    yield "chunk-too-long", _chunked(b"3\r\nabcdefgh\r\n0\r\n\r\n")
    yield "chunk-extension-flood", _chunked(b"5;" + b"a" * 200_000 + b"\r\nabcde\r\n0\r\n\r\n")
    trailers = b"".join(b"X-%d: y\r\n" % n for n in range(20_000))
    yield "chunk-trailer-flood", _chunked(b"5\r\nabcde\r\n0\r\n" + trailers + b"\r\n")
    yield "chunk-trailer-huge", _chunked(b"5\r\nabcde\r\n0\r\nX: " + b"y" * 500_000 + b"\r\n\r\n")
