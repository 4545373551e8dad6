"""Requests whose HTTP is sound and whose contents aren't: options, jobs, and files that are no
pictures."""

import base64
import gzip
import json
from collections.abc import Iterator

from pictures import bomb, encoded, gradient, png_header
from raw_http import END, FORM, form, part, request

Cases = Iterator[tuple[str, bytes]]
"""Names, and the bytes on the wire."""

POST, JOBS = "POST /v1/upscale", "POST /v1/jobs"
JOB = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
PICTURE = encoded(gradient(48, 40), "PNG")
IMAGE = part(b"image", PICTURE, b"a.png")
LIMIT = 2**20  # `limits.input_bytes` that these are for; a form may have 1 MiB more
DEEP = "[" * 100_000
HUGE = "9" * 5000
SURROGATE = '{"model": "\\ud800"}'


# Of the field `options`, which is JSON.
OBJECTS = {
    "deep": DEEP,
    "deep-object": '{"a":' * 50_000,
    "deep-inside": '{"regions": ' + "[" * 400 + "]" * 400 + "}",
    "nan": '{"scale": NaN}',
    "infinity": '{"scale": -Infinity}',
    "huge-integer": f'{{"width": {HUGE}}}',
    "huge-exponent": '{"megapixels": 1e999}',
    "surrogate": SURROGATE,
    "surrogate-name": '{"\\ud800": 1}',
    "null": "null",
    "list": "[{}]",
    "number": "1",
    "cut": '{"scale": 2',
    "object-for-number": '{"scale": {"a": 1}}',
    "truth-for-number": '{"scale": true}',
    "list-for-name": '{"model": ["u2net"]}',
    "many": json.dumps({f"o{n}": 1 for n in range(50_000)}),
    "image": '{"image": "/etc/passwd"}',
}
# In the query of an upscaling.
QUERIES = {
    "negative": "scale=-1",
    "nan": "scale=nan",
    "infinite": "scale=inf",
    "exponent": "megapixels=1e400",
    "huge": f"width={HUGE}",
    "fraction": "width=1.5",
    "hexadecimal": "width=0x10",
    "wide-width": f"width={10**30}",
    "wide-megapixels": "megapixels=1e300",
    "tiny-megapixels": "megapixels=1e-300",
    "wide-side": f"max_side={2**63}",
    "unknown": "url=http://127.0.0.1:1/a.png",
    "image-url": "image=http://127.0.0.1:1/a.png",
    "two-sizes": "scale=2&width=9",
    "empty-list-twice": "regions=[]&regions=[]",
}
# In the query of a repair.
REPAIRS = {
    "empty-lists": "regions=[]&regions=[]&regions=1,2",
    "letters": "regions=a,b,c,d",
    "huge": f"regions=0,0,{10**30},{10**30}",
    "far": f"regions={2**62},{2**62},9,9&detector=none",
    "negative": "regions=-5,-5,-1,-1",
    "grid": 'regions={"box":[0,0,9,9],"grid":[9,9]}',
    "mask-text": "mask=abc",
    "mask-base64": "mask=" + base64.b64encode(b"no picture").decode().rstrip("="),
}


def options() -> Cases:
    for name, text in OBJECTS.items():
        yield f"options-{name}", form(POST, IMAGE, part(b"options", text.encode()))
    yield "options-not-utf-8", form(POST, IMAGE, part(b"options", b'{"model": "\xff"}'))
    for name, text in QUERIES.items():
        yield f"query-{name}", request(f"{POST}?{text}", PICTURE)
    for name, text in REPAIRS.items():
        yield f"repair-{name}", request(f"POST /v1/fix-artifacts?{text}", PICTURE)
    yield (
        "repair-many-regions",
        form(
            "POST /v1/fix-artifacts", IMAGE, part(b"regions", json.dumps([["x"]] * 50_000).encode())
        ),
    )
    mask = part(b"mask", b"no picture", b"m.png")
    yield "repair-mask", form("POST /v1/fix-artifacts", IMAGE, mask)
    yield "rembg-colour", request("POST /v1/rembg?background_color=[1,2,3,4,5,999]", PICTURE)
    yield "rembg-threshold", request("POST /v1/rembg?alpha_matting_erode_size=1e9", PICTURE)


def jobs() -> Cases:
    action = part(b"action", b"upscale")
    yield "job-without-action", form(JOBS, IMAGE)
    yield "job-unknown-action", form(JOBS, IMAGE, part(b"action", b"rm -rf"))
    yield "job-list-of-actions", form(JOBS, IMAGE, action, action)
    yield "job-object-as-action", form(JOBS, IMAGE, part(b"action", b'{"a": 1}'))
    yield "job-unknown-option", form(JOBS, IMAGE, action, part(b"colour", b"1"))
    for number, hook in enumerate(
        (b"http://169.254.169.254/", b"file:///etc/passwd", b"{}", b"[1]", b"https://[::1", b"\xff")
    ):
        yield f"job-webhook-{number}", form(JOBS, IMAGE, action, part(b"webhook", hook))
    deep = part(b"options", b'{"webhook": {"a": [1, {"b": "\\ud800"}]}}')
    yield "job-webhook-object", form(JOBS, IMAGE, action, deep)
    yield "job-1001-files", form(JOBS, action, *[part(b"image", b"x", b"a")] * 1003)
    whole = b"".join((IMAGE, action, END))
    for number, key in enumerate(("", "k" * 201, "\xff\xfe", "a\tb", "é" * 20)):
        header = f"Idempotency-Key: {key}"
        yield f"job-key-{number}", request(JOBS, whole, header, kind=FORM)
    for name, path in {
        "unknown": JOB,
        "no-uuid": "1",
        "traversal": "..%2f..%2fetc",
        "long": "a" * 5000,
        "not-utf-8": "%ff" * 36,
        "sql": "'%20OR%201=1--",
        "number": f"{JOB}/pictures/99",
        "number-negative": f"{JOB}/pictures/-1",
        "number-huge": f"{JOB}/pictures/{HUGE}",
        "number-text": f"{JOB}/pictures/x",
        "result": f"{JOB}/result",
    }.items():
        yield f"job-{name}", request(f"GET /v1/jobs/{path}")
    for number, event in enumerate(("-1", "\xff", "9" * 99, "1e9", "0x1", "'")):
        header = f"Last-Event-ID: {event}"
        yield f"job-event-{number}", request(f"GET /v1/jobs/{JOB}/events", b"", header)
    yield "job-delete", request(f"DELETE /v1/jobs/{JOB}")
    yield "key-rubbish-basic", request(f"GET /v1/jobs/{JOB}", b"", "Authorization: Basic \xe9")


def pictures() -> Cases:
    yield "bomb", bomb()
    yield "over-the-pixels", png_header(5000, 5000) + PICTURE[33:]
    yield "no-pixels", png_header(0, 0) + PICTURE[33:]
    yield "huge-sides", png_header(2**31 - 1, 2**31 - 1) + PICTURE[33:]
    yield "cut", PICTURE[: len(PICTURE) // 2]
    yield "only-a-head", PICTURE[:33]
    yield "one-byte", b"\x89"
    yield "zeros", bytes(5000)
    yield "jpeg-cut", encoded(gradient(48, 40), "JPEG")[:300]
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "pdf", b"%PDF-1.7\n%\xff\xff\xff\xff"
    yield "gzip-bomb", gzip.compress(bytes(10**7))
