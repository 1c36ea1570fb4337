"""Who makes a request, and the statements that apply to them, by moto's records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from werkzeug import Request

from sparsebench.localcloud.iam.policy import Access, PolicyError, Statement, parse, refusal

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/")

_AGENT = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""What the SSM agent calls to be online, and to get commands and report how they end."""


class Unknown(Exception):
    """The access key belongs to nobody, or the session token to another one."""


class OldSignature(Exception):
    """Signature Version 2, which S3 does not take for a bucket that was made after June 2020."""


@dataclass(frozen=True)
class Principal:
    """A user or a role's session; ``names`` are those by which a bucket policy may mean it."""

    arn: str
    names: frozenset[str]
    statements: tuple[Statement, ...]


ANONYMOUS = Principal("anonymous", frozenset(), ())


def caller(request: Request) -> Principal:
    """The caller, by the access key and the token in the header, or in the query of a signed URL, whose signature was
    checked.

    Raises:
        Unknown, OldSignature, PolicyError
    """
    authorization = request.headers.get("Authorization", "")
    if authorization.startswith("AWS ") or "AWSAccessKeyId" in request.args:
        raise OldSignature
    signed = _SIGNED.match(authorization)
    key = signed["key"] if signed else request.args.get("X-Amz-Credential", "").partition("/")[0]
    token = request.headers.get("X-Amz-Security-Token") or request.args.get("X-Amz-Security-Token")
    return _principal(key, token) if key else ANONYMOUS


def _principal(key: str, token: str | None) -> Principal:
    for user in list(_iam().users.values()):
        if any(access_key.access_key_id == key for access_key in user.access_keys):
            return Principal(user.arn, _names(user.arn), tuple(statements_of(user.arn) or ()))
    session = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(key)
    if session is None or session.session_token != token:
        raise Unknown
    if session.policy:
        raise PolicyError("session policies are not known here")
    role = _role(session.role_arn)
    return Principal(session.arn, _names(session.arn, session.role_arn), tuple(_of(role)) if role else ())


def secret_of(key: str) -> str | None:
    """The secret of a user's or a session's access key; None where it is nobody's."""
    for user in list(_iam().users.values()):
        for own in user.access_keys:
            if own.access_key_id == key:
                return str(own.secret_access_key)
    session = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(key)
    return str(session.secret_access_key) if session else None


def statements_of(arn: str) -> list[Statement] | None:
    """The statements of a user or a role; None: there is none of that ARN."""
    for user in list(_iam().users.values()):
        if user.arn == arn:
            return [each for owner in (user, *_iam().get_groups_for_user(user.name)) for each in _of(owner)]
    role = _role(arn)
    return list(_of(role)) if role else None


def _iam() -> Any:
    return iam_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _role(arn: str) -> Any | None:
    return next((role for role in list(_iam().roles.values()) if role.arn == arn), None)


def _names(*arns: str) -> frozenset[str]:
    return frozenset([*arns, DEFAULT_ACCOUNT_ID, f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root"])


def _of(owner: Any) -> Iterator[Statement]:
    """The statements of a user's, a group's or a role's policies."""
    if getattr(owner, "permissions_boundary", None):
        raise PolicyError("permissions boundaries are not known here")
    for policy in owner.policies.values():
        yield from parse(policy)
    for managed in owner.managed_policies.values():
        yield from parse(next(version.document for version in managed.versions if version.is_default))


# ------------------------------------------------------------------------------------------ instances


def role_of(instance: Any) -> Any | None:
    """The role of an instance (moto's record of it)."""
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    roles = association.iam_instance_profile.roles if association else []
    return roles[0] if roles else None


def ec2_may_assume(role: Any) -> bool:
    """Whether the role's trust policy lets EC2 hand it to instances."""
    try:
        trust = parse(role.assume_role_policy_document)
    except PolicyError:
        return False
    ours = [statement for statement in trust if statement.is_of("Service", ["ec2.amazonaws.com"])]
    return refusal(ours, Access("sts:AssumeRole")) is None


def agent_may_register(instance: Any) -> bool:
    """Whether the SSM agent of an instance (moto's record of it) may do what it does."""
    role = role_of(instance)
    if role is None or not ec2_may_assume(role):
        return False
    try:
        statements = list(_of(role))
    except PolicyError:
        return False
    return all(refusal(statements, Access(action)) is None for action in _AGENT)
