"""A file from the web, under limits: public hosts only, so many bytes, so many seconds; at every hop."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import urljoin, urlsplit

from sparsebench.errors import BadInput, SparsebenchError

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 30
"""To connect, and then between two pieces."""

MAX_HOPS = 10
CHUNK_BYTES = 1 << 20

_VARIABLE = "SPARSEBENCH_DOWNLOAD_"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class DownloadFailed(SparsebenchError):
    """A file did not come, or not whole: trying again may help."""


@dataclass(frozen=True)
class Limits:
    """The limits of a download. Each field is the environment variable SPARSEBENCH_DOWNLOAD_<FIELD IN CAPITALS>, for
    the instance that downloads too: its commands carry them."""

    max_mb: int = 20_000
    max_seconds: int = 7200
    private_hosts: str = ""
    """Hosts, with commas, that files may come from although their address is private (or this machine's own)."""

    @classmethod
    def configured(cls) -> Self:
        """
        Raises:
            BadInput: a variable that is no whole number above 0.
        """
        return cls(
            cls._number("max_mb", cls.max_mb),
            cls._number("max_seconds", cls.max_seconds),
            os.environ.get(f"{_VARIABLE}PRIVATE_HOSTS", cls.private_hosts),
        )

    @staticmethod
    def _number(field: str, default: int) -> int:
        name = f"{_VARIABLE}{field.upper()}"
        text = os.environ.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
            raise BadInput(f"{name} is {text!r:.80}: expected a whole number above 0")
        return int(text)

    def variables(self) -> Mapping[str, str]:
        """The environment variables that say the same."""
        return {f"{_VARIABLE}{field.name.upper()}": str(getattr(self, field.name)) for field in fields(self)}

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host.strip().lower() for host in self.private_hosts.split(",") if host.strip())


class LimitedSink:
    """What a file is written to: more bytes, or later ones, than the limits have are refused."""

    def __init__(self, sink: BinaryIO, limits: Limits):
        self._sink = sink
        self._left = limits.max_mb * 1_000_000
        self._limits = limits
        self._ends = time.monotonic() + limits.max_seconds

    def expect(self, size: int) -> None:
        """
        Raises:
            BadInput: so many bytes more would be too many.
        """
        if size > self._left:
            raise BadInput(f"it is larger than {_VARIABLE}MAX_MB allows, which is {self._limits.max_mb}")

    def write(self, data: bytes) -> int:
        """
        Raises:
            BadInput: too many bytes.
            DownloadFailed: too late.
        """
        self.expect(len(data))
        if time.monotonic() > self._ends:
            raise DownloadFailed(late(self._limits))
        self._left -= len(data)
        return self._sink.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)


def late(limits: Limits) -> str:
    return f"it takes longer than {_VARIABLE}MAX_SECONDS allows, which is {limits.max_seconds}"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, and to no machine or network of our own."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:  # deprecated, and still a network of somebody's own
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


def get(url: str, sink: LimitedSink, limits: Limits) -> None:
    """Write what a URL gives to the sink. Redirects are followed by hand, each checked as the first URL is, and https
    stays https. Messages name hosts and never a URL, whose query may be a signature.

    Raises:
        BadInput: there is no such file, it is not for us, it is too large, or it is where we do not go.
        DownloadFailed: it did not come, or not whole, or not in time.
    """
    import requests
    import urllib3

    guard = _Guard(limits.hosts)
    timer = threading.Timer(limits.max_seconds, guard.expire)
    timer.daemon = True
    timer.start()
    try:
        with _unlogged(), requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, _adapter(guard))
            for _ in range(MAX_HOPS):
                with session.get(
                    url,
                    stream=True,
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                    headers={"Accept-Encoding": "identity"},
                ) as answer:
                    if not answer.is_redirect:
                        _receive(answer, sink)
                        break
                    url = _next(url, answer.headers["Location"])
            else:
                raise BadInput(f"it redirects more than {MAX_HOPS} times; expected the file itself")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        # Not chained: what the libraries say has the whole URL.
        reason = late(limits) if guard.expired else f"it did not come: {_reason(error)}"
        raise DownloadFailed(reason) from None
    finally:
        timer.cancel()
    if guard.expired:  # a connection that is cut may look like the end of the file
        raise DownloadFailed(late(limits))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Whatever urllib3 logs of this thread, of bad headers even as a warning, has the whole URL."""
    thread = threading.get_ident()

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [
        logging.getLogger(f"urllib3.{name}") for name in ("connection", "connectionpool", "response", "util.retry")
    ]
    for logger in loggers:
        logger.addFilter(is_of_another)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_of_another)


def _receive(answer: requests.Response, sink: LimitedSink) -> None:
    if answer.status_code != HTTPStatus.OK:
        kind = BadInput if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else DownloadFailed
        known = [status.phrase for status in HTTPStatus if status == answer.status_code]
        raise kind(
            f"the server answered {' '.join([str(answer.status_code), *known])}; expected a file that it gives without "
            "asking who wants it"
        )
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise BadInput(f"the server compresses it ({encoding!r:.40}); expected the file as it is")
    announced = answer.headers.get("Content-Length", "0")
    sink.expect(int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else 0)
    for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):  # raises when fewer come than were announced
        sink.write(chunk)


def _next(url: str, location: str) -> str:
    before, after = urlsplit(url), urlsplit(urljoin(url, location))
    if after.scheme not in ("http", "https") or not after.hostname or "@" in after.netloc:
        raise BadInput(f"it redirects to something else than a web address ({after.scheme[:20]!r}); expected a file")
    if before.scheme == "https" and after.scheme != "https":
        raise BadInput(f"it redirects from https to {after.scheme}; expected https all the way")
    return after.geturl()


class _Guard:
    """Makes the connections: to addresses that were looked at, and ended when the time is over."""

    def __init__(self, private_hosts: Collection[str]):
        self._private_hosts = private_hosts
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.expired = False

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended by itself
                finally:
                    connection.close()

    def connect(self, host: str, port: int, checked: bool) -> socket.socket:
        host = host.strip("[]")
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if checked and host.lower().rstrip(".") not in self._private_hosts:
            for *_, place in places:
                if not is_public(str(place[0])):
                    raise BadInput(
                        f"{host} has the address {place[0]}, which is no public one; expected a host of the internet, "
                        f"or one that {_VARIABLE}PRIVATE_HOSTS names"
                    )
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, place in places:
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(TIMEOUT_S)
            try:
                connection.connect(place)
            except OSError as error:
                connection.close()
                failure = error
                continue
            with self._lock:
                if self.expired:  # while it was connecting: nobody would end it any more
                    connection.close()
                    raise OSError("too late")
                self._open.append(connection.dup())  # TLS takes the socket itself away
            return connection
        raise failure


def _adapter(guard: _Guard) -> Any:
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError

    def pools(checked: bool) -> dict[str, Any]:
        def new_conn(connection: Any) -> socket.socket:
            try:
                return guard.connect(connection._dns_host, connection.port, checked)
            except OSError as error:
                raise NewConnectionError(connection, str(error.strerror or type(error).__name__)) from error

        plain = type("Plain", (HTTPConnection,), {"_new_conn": new_conn})
        secured = type("Secured", (HTTPSConnection,), {"_new_conn": new_conn})
        return {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecuredPool", (HTTPSConnectionPool,), {"ConnectionCls": secured}),
        }

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = pools(checked=True)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            """A proxy that this machine is told to use is the one who looks up hosts, and decides who is reached."""
            manager = super().proxy_manager_for(proxy, **options)
            manager.pool_classes_by_scheme = pools(checked=False)
            return manager

    return Adapter()


def _reason(error: BaseException) -> str:
    """What is at the bottom of an error, without the URL that the libraries put around it."""
    seen = 0
    while seen < 10:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        if inner is None:
            break
        error, seen = inner, seen + 1
    kind = type(error).__name__
    reasons = {
        "ConnectTimeoutError": f"no answer in {TIMEOUT_S} s",
        "ReadTimeoutError": f"nothing came for {TIMEOUT_S} s",
        "IncompleteRead": "the connection ended before the file did",
        "RemoteDisconnected": "the connection ended before the file did",
    }
    if kind == "NewConnectionError":
        return str(error).rpartition(": ")[2]
    return reasons.get(kind) or getattr(error, "verify_message", None) or getattr(error, "strerror", None) or kind
