"""Signatures of AWS's version 4, in a header or in a URL, held against the secrets of those who may sign."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from werkzeug import Request

SKEW = timedelta(minutes=15)

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/, ]+)/(?P<scope>\d{8}/[^/, ]+/[^/, ]+/aws4_request), ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_URL = re.compile(r"(?P<key>[^/]+)/(?P<scope>\d{8}/[^/]+/[^/]+/aws4_request)")


def key_of(request: Request) -> str | None:
    """The access key that a request says it is signed with."""
    signed = _header(request) or _url(request)
    return signed["key"] if signed else None


def _header(request: Request) -> re.Match[str] | None:
    return _HEADER.fullmatch(request.headers.get("Authorization", ""))


def _url(request: Request) -> re.Match[str] | None:
    """Of a request that says nothing in its header: what that says decides which service is called."""
    if "Authorization" in request.headers:
        return None
    return _URL.fullmatch(request.args.get("X-Amz-Credential", ""))


def is_valid(request: Request, body: Callable[[], bytes], secret: str) -> bool:
    """Whether a request is signed with this secret, now, and is what was signed."""
    if signed := _header(request):
        time, expires_s, signature = request.headers.get("X-Amz-Date", ""), None, signed["signature"]
        names = signed["headers"]
        payload = request.headers.get("X-Amz-Content-SHA256")
        digest = re.fullmatch("[0-9a-f]{64}", payload or "")
        if payload is None or digest:
            actual = hashlib.sha256(body()).hexdigest()
            if payload not in (None, actual):
                return False
            payload = actual
    elif signed := _url(request):
        time, expires_s = request.args.get("X-Amz-Date", ""), request.args.get("X-Amz-Expires", "")
        signature, names, payload = (
            request.args.get("X-Amz-Signature", ""),
            request.args.get("X-Amz-SignedHeaders", ""),
            "UNSIGNED-PAYLOAD",
        )
    else:
        return False
    names_signed = names.split(";")
    if "host" not in names_signed or not _is_now(time, expires_s):
        return False
    date, region, service, _ = signed["scope"].split("/")
    canonical = "\n".join(
        [
            request.method,
            _path(request, service),
            _query(request),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names_signed),
            "",
            names,
            payload or "",
        ]
    )
    digest_of_all = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{time}\n{signed['scope']}\n{digest_of_all}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return time.startswith(date) and hmac.compare_digest(key.hex(), signature)


def _is_now(time: str, expires_s: str | None) -> bool:
    try:
        signed_at = datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    age = datetime.now(UTC) - signed_at
    if expires_s is None:
        return abs(age) <= SKEW
    return expires_s.isascii() and expires_s.isdigit() and -SKEW <= age <= timedelta(seconds=int(expires_s[:7]))


def _raw(request: Request) -> tuple[str, str]:
    """Path and query as they were sent."""
    path, _, query = str(request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]).partition("?")
    return (path if path.startswith("/") else f"/{path.partition('://')[2].partition('/')[2]}"), query


def _path(request: Request, service: str) -> str:
    path, _ = _raw(request)
    return path if service == "s3" else quote(path, safe="/~")


def _query(request: Request) -> str:
    _, query = _raw(request)
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    kept = [(quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(kept) if name != "X-Amz-Signature")
