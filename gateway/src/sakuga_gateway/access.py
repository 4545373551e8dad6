"""Who may call, from where, and how much: keys, origins, rates, and places for pictures in work."""

import base64
import hashlib
import hmac
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

from sakuga_core.config.gateway import Gateway
from sakuga_core.config.schema import Config
from sakuga_core.errors import Overloaded
from sakuga_gateway import problems
from sakuga_gateway.rates import Rates

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Who sends a request."""

    name: str
    """Of the key; without keys the address."""
    owner: str
    """Whose jobs it sees: the key's name; without keys all callers share theirs."""
    rate: int
    in_flight: int


def is_local(host: str) -> bool:
    """Whether an address, or a name, is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def digest(key: str) -> str:
    """What config.yaml has of a key. Keys are random and long, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class Access:
    """Checks callers, and counts what they do; each gateway counts its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rates = Rates()
        self._in_work: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        # Other machines do without keys only if they do from the start, by `--no-auth`: an edit
        # that removes the last key opens nothing.
        settings = config.gateway
        self._is_open = is_local(settings.host) or not settings.keys

    @property
    def settings(self) -> Gateway:
        """The block of config.yaml."""
        return self._config.gateway

    @property
    def in_work(self) -> int:
        """Pictures in work, of all callers."""
        return self._in_work.total()

    def caller(self, request: Request) -> Caller:
        """Who sends a request, if it may be sent at all.

        Raises:
            Refusal: its key is missing or unknown, another site's page sends it, or its caller has
                sent too many.
        """
        caller = self._known(request)
        self._check_origin(request)
        if seconds := self._rates.wait(caller.name, caller.rate):
            raise problems.too_many(f"more than {caller.rate} requests a minute", seconds)
        return caller

    def _known(self, request: Request) -> Caller:
        settings = self.settings
        if self._is_open and not settings.keys:
            address = request.client.host if request.client else "unknown"
            return Caller(address, "", settings.rate, settings.in_flight)
        sent, found = digest(key_of(request)), None
        for key in settings.keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.sha256, sent):
                found = key
        if found is None:
            raise problems.unauthorized()
        rate, in_flight = found.rate or settings.rate, found.in_flight or settings.in_flight
        return Caller(found.name, found.name, rate, in_flight)

    def _check_origin(self, request: Request) -> None:
        """
        Raises:
            Refusal: a page of another site has its reader's browser send this.
        """
        origin = request.headers.get("origin")
        if origin and ("*" in self.settings.origins or origin in self.settings.origins):
            return
        host = request.headers.get("host", "").lower()
        if not self.settings.keys:  # else a name that an attacker's DNS has pointed here is useless
            self._check_host(_name(host))
        if request.method in SAFE_METHODS:
            return
        site = request.headers.get("sec-fetch-site")
        is_own = origin is None or origin.lower().partition("://")[2] == host
        if site not in ("same-origin", "none") if site else not is_own:
            raise problems.forbidden(
                f"the request comes from a page of {(origin or 'another site')[:200]!r}; allowed: "
                "this gateway's own pages, and those of gateway.origins"
            )

    def _check_host(self, host: str) -> None:
        is_address = True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            is_address = False
        if not (is_address or is_local(host) or host in self.settings.hosts):
            raise problems.forbidden(
                f"the request's Host is {host[:200]!r}; allowed without keys: addresses, localhost,"
                " and names of gateway.hosts"
            )

    @asynccontextmanager
    async def place(self, caller: Caller) -> AsyncIterator[None]:
        """A place for a picture in work.

        Raises:
            Refusal: the caller has none left.
            Overloaded: there is none left for anybody.
        """
        if self._in_work[caller.name] >= caller.in_flight:
            message = f"{caller.in_flight} pictures of this caller are in work already"
            raise problems.too_many(message, problems.RETRY_SECONDS)
        if self.in_work >= self.settings.max_in_flight:
            raise Overloaded(f"{self.in_work} pictures are already in flight")
        with _counted(self._in_work, caller.name):
            yield

    def check_streams(self, caller: Caller) -> None:
        """
        Raises:
            Refusal: the caller has as many open streams of events as may be.
        """
        if self._streams[caller.name] >= self.settings.event_streams:
            message = f"{self.settings.event_streams} streams of this caller are open already"
            raise problems.too_many(message, problems.RETRY_SECONDS)

    def stream(self, caller: Caller) -> AbstractContextManager[None]:
        """While this lasts, a stream of events is open."""
        return _counted(self._streams, caller.name)


@contextmanager
def _counted(counter: Counter[str], name: str) -> Iterator[None]:
    counter[name] += 1
    try:
        yield
    finally:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]


def _name(host: str) -> str:
    """Of a header Host, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def key_of(request: Request) -> str:
    """The key that a request brings; empty where it has none."""
    if key := request.headers.get("x-api-key"):
        return key
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return key.strip()
    return _password(key) if scheme.lower() == "basic" else ""


def _password(credentials: str) -> str:
    """Of Basic credentials, as AUTOMATIC1111's clients send them."""
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]
