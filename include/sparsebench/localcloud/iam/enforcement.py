"""Refuse what IAM does not allow, in the words of the service that is called."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace

from werkzeug import Request, Response

from sparsebench.localcloud import ec2, ssm
from sparsebench.localcloud.credentials import ACCESS_KEY_ID
from sparsebench.localcloud.faults import s3_error
from sparsebench.localcloud.iam import accesses, buckets  # noqa: F401 - the latter changes moto
from sparsebench.localcloud.iam.policy import Access, PolicyError, Statement, parse, refusal
from sparsebench.localcloud.iam.principals import OldSignature, Principal, Unknown, caller, secret_of
from sparsebench.localcloud.signature import is_valid, key_of

_SCOPE = re.compile(r"/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

_ENFORCED = {
    "ec2": "ec2",
    "monitoring": "cloudwatch",
    "pricing": "pricing",
    "s3": "s3",
    "servicequotas": "servicequotas",
    "ssm": "ssm",
}
"""IAM's name of a service, by the one in signatures. Calls of others (IAM, STS, CloudFormation) are not checked: they
are for whoever sets the account up."""


def refused(request: Request) -> Response | None:
    """The answer to a request that is not allowed; None to one that is, or that is not checked."""
    scope = _SCOPE.search(request.headers.get("Authorization", "") or request.args.get("X-Amz-Credential", ""))
    region, name = (scope["region"], scope["service"]) if scope else ("us-east-1", "s3")
    target = request.headers.get("X-Amz-Target", "")
    service = "ssm" if target.startswith("AmazonSSM.") else _ENFORCED.get(name)
    if service is None:
        return None
    try:
        principal = caller(request)
        for access in _wanted(service, request, target.rpartition(".")[2], region):
            if why := _refusal(principal, access, request):
                message = f"User: {principal.arn} is not authorized to perform: {access.action}"
                return _deny(service, f"{message} on resource: {access.resource} {why}")
    except Unknown:
        return _unknown(service)
    except OldSignature:
        message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        return s3_error("InvalidRequest", message, 400)
    except PolicyError as error:
        return _deny(service, f"localcloud cannot evaluate a policy: {error}")
    return None


def unsigned(request: Request, secret: str, enforced: bool) -> Response | None:
    """The answer to a request that nobody signed who may; None to one that is signed.

    Args:
        secret: of the key of the cloud.
        enforced: whether policies are; then what S3 is asked without any name is a matter of the bucket's policy.
    """
    scope = _SCOPE.search(request.headers.get("Authorization", "") or request.args.get("X-Amz-Credential", ""))
    service = _ENFORCED.get(scope["service"], scope["service"]) if scope else "s3"
    key = key_of(request)
    authorization = request.headers.get("Authorization", "AWS ")
    if key is None and enforced and service == "s3" and authorization.startswith("AWS "):
        return None  # without a name, or by the old signature: ``refused`` says what comes of it
    known = secret if key == ACCESS_KEY_ID else secret_of(key) if key else None
    if known is not None and is_valid(request, lambda: _body(request), known):
        return None
    _drain(request)
    message = "The signature is none of this localcloud: its key is in the file secret-access-key of its folder."
    if known is None and service in ("ec2", "s3"):
        return _unknown(service)
    if service == "s3":
        return s3_error("SignatureDoesNotMatch", message, 403)
    if service == "ec2":
        return ec2.error_response("AuthFailure", message, 401)
    if request.mimetype == "application/x-www-form-urlencoded":
        error = f"<Error><Code>InvalidClientTokenId</Code><Message>{message}</Message></Error>"
        return Response(f"<ErrorResponse>{error}</ErrorResponse>", 403, content_type="text/xml")
    return _unknown(service) if known is None else ssm.error_response("InvalidSignatureException", message, 400)


def _wanted(service: str, request: Request, action: str, region: str) -> Iterator[Access]:
    match service:
        case "s3":
            if request.method == "POST" and "delete" in request.args:
                _body(request)
            return accesses.of_s3(request)
        case "ec2":
            parameters = Request({**request.environ, "wsgi.input": io.BytesIO(_body(request))}).form.to_dict()
            return accesses.of_ec2(parameters, region)
        case "ssm":
            return accesses.of_ssm(action, json.loads(_body(request)), region)
        case _:
            return iter([Access(f"{service}:{action}")])


def _body(request: Request) -> bytes:
    """It is left to be read again by whoever answers."""
    body = request.get_data()
    request.environ["wsgi.input"] = io.BytesIO(body)
    return body


def _drain(request: Request) -> None:
    """Read what is refused: a client that is still sending would take the closed connection for a fault, and repeat."""
    while request.stream.read(1 << 20):
        pass


def _refusal(principal: Principal, access: Access, request: Request) -> str | None:
    # On AWS the same client would use TLS, which loopback does not need. The header lets one say that it did not.
    tls = "false" if request.headers.get("X-Forwarded-Proto") == "http" else "true"
    statements: list[Statement] = list(principal.statements)
    if access.action.startswith("s3:") and (policy := accesses.bucket_policy(access)):
        statements += [statement for statement in parse(policy) if statement.is_of("AWS", principal.names)]
    return refusal(statements, replace(access, context={**access.context, "aws:securetransport": tls}))


def _deny(service: str, message: str) -> Response:
    match service:
        case "ec2":
            message = f"You are not authorized to perform this operation. {message}"
            return ec2.error_response("UnauthorizedOperation", message, 403)
        case "s3":
            return s3_error("AccessDenied", message, 403)
        case _:
            return ssm.error_response("AccessDeniedException", message, 400)


def _unknown(service: str) -> Response:
    match service:
        case "ec2":
            return ec2.error_response(
                "AuthFailure", "AWS was not able to validate the provided access credentials", 401
            )
        case "s3":
            message = "The AWS Access Key Id you provided does not exist in our records."
            return s3_error("InvalidAccessKeyId", message, 403)
        case _:
            message = "The security token included in the request is invalid."
            return ssm.error_response("UnrecognizedClientException", message, 400)
