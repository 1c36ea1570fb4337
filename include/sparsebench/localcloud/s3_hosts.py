"""S3's hosts: a bucket is in one region, and whoever asks at another's host, or signs for it, is sent away.

Beside 127.0.0.1, where the region is only in the signature, there are ``s3.<region>.localhost``, the global
``s3.localhost``, and a bucket's own name before either.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from werkzeug import Request, Response

_HOST = re.compile(r"((?P<bucket>[a-z0-9.-]+)\.)?s3(\.(?P<region>[a-z]{2}(-[a-z]+)+-\d))?\.localhost(:\d+)?")
_SCOPE = re.compile(r"/\d{8}/(?P<region>[^/]+)/s3/aws4_request")
_GLOBAL = "us-east-1"


def wrong_region(request: Request) -> Response | None:
    """The answer to a request that is not at its bucket's region; None to one that is."""
    host = _HOST.fullmatch(request.host)
    bucket = (host and host["bucket"]) or request.path.strip("/").partition("/")[0]
    there = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(bucket)
    if there is None:
        return None
    region = str(there.region_name)
    signed = _SCOPE.search(request.headers.get("Authorization", "") or request.args.get("X-Amz-Credential", ""))
    if signed and signed["region"] != region:
        where = (
            "AuthorizationHeaderMalformed"
            if "Authorization" in request.headers
            else "AuthorizationQueryParametersError"
        )
        message = f"the region '{signed['region']}' is wrong; expecting '{region}'"
        return _error(where, message, HTTPStatus.BAD_REQUEST, region)
    if host and host["region"] is None and region != _GLOBAL:
        message = "Please re-send this request to the specified temporary endpoint."
        return _error("TemporaryRedirect", message, HTTPStatus.TEMPORARY_REDIRECT, region)
    if host and host["region"] not in (None, region):
        message = "The bucket you are attempting to access must be addressed using the specified endpoint."
        return _error("PermanentRedirect", message, HTTPStatus.MOVED_PERMANENTLY, region)
    return None


def to_path(request: Request) -> Request:
    """The same request with the bucket in its path, as moto takes it, whatever host it was sent to."""
    host = _HOST.fullmatch(request.host)
    if host is None:
        return request
    environ = request.environ
    if host["bucket"]:
        for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
            environ[name] = f"/{host['bucket']}{environ[name]}"
    environ["HTTP_HOST"] = f"127.0.0.1:{environ['SERVER_PORT']}"
    return Request(environ)


def _error(code: str, message: str, status: HTTPStatus, region: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message><Region>{region}</Region></Error>"
    return Response(body, status, {"x-amz-bucket-region": region}, content_type="application/xml")
