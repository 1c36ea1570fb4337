"""The metadata service of an instance, version 2: nothing without a token."""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime

from moto.core import DEFAULT_ACCOUNT_ID
from moto.sts.models import sts_backends
from werkzeug import Request, Response

from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.iam.principals import ec2_may_assume, role_of
from sparsebench.localcloud.instance import Instance

_MAX_TTL_S = 21_600
_CREDENTIALS_S = 3_600
_DEFAULT_ROLE = "localcloud"
"""Of an instance that was launched without a profile. On EC2 it would have no credentials; here it needs no IAM."""


class Imds:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tokens: dict[tuple[str, str], float] = {}

    def call(self, instance_id: str, path: str, request: Request) -> Response:
        """Answer a request for ``latest/…`` of an instance."""
        instance = self._cloud.instance(instance_id)
        if instance is None or not instance.running:
            return Response("no such instance", 404)
        if path == "latest/api/token":
            return self._token(instance_id, request)
        token = request.headers.get("X-aws-ec2-metadata-token", "")
        if self._tokens.get((instance_id, token), 0) < time.monotonic():
            return Response("a token is needed: PUT latest/api/token", 401)
        if request.method != "GET":
            return Response("only GET", 405)
        answer = _metadata(instance, path)
        return Response("not found", 404) if answer is None else Response(answer, content_type="text/plain")

    def _token(self, instance_id: str, request: Request) -> Response:
        if request.method != "PUT":
            return Response("only PUT", 405)
        ttl = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= _MAX_TTL_S:
            return Response(f"X-aws-ec2-metadata-token-ttl-seconds: give 1 to {_MAX_TTL_S} seconds", 400)
        token = secrets.token_urlsafe(32)
        self._tokens[instance_id, token] = time.monotonic() + int(ttl)
        return Response(token, headers={"X-aws-ec2-metadata-token-ttl-seconds": ttl}, content_type="text/plain")


def _metadata(instance: Instance, path: str) -> str | None:
    record = instance.record
    role = _role(instance)
    match path:
        case "latest/meta-data/instance-id":
            return instance.id
        case "latest/meta-data/instance-type":
            return str(record.instance_type)
        case "latest/meta-data/placement/availability-zone":
            return str(record.availability_zone)
        case "latest/meta-data/instance-life-cycle":
            return instance.market
        case "latest/meta-data/spot/instance-action" if at := instance.interruption_at:
            return json.dumps({"action": "terminate", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
        case "latest/dynamic/instance-identity/document":
            return json.dumps(
                {
                    "accountId": DEFAULT_ACCOUNT_ID,
                    "instanceId": instance.id,
                    "instanceType": record.instance_type,
                    "imageId": record.image_id,
                    "region": instance.region,
                    "availabilityZone": record.availability_zone,
                    "emulated": True,
                }
            )
        case "latest/meta-data/iam/security-credentials" | "latest/meta-data/iam/security-credentials/":
            return role
        case _ if role and path == f"latest/meta-data/iam/security-credentials/{role}":
            return json.dumps(_credentials(instance, role))
    return None


def _role(instance: Instance) -> str | None:
    role = role_of(instance.record)
    if role is None:
        return None if instance.enforce_iam else _DEFAULT_ROLE
    return str(role.name)


def _credentials(instance: Instance, role: str) -> dict[str, str]:
    """The credentials of a session of the role, which moto knows: sts get-caller-identity names it."""
    if instance.enforce_iam and not ec2_may_assume(role_of(instance.record)):
        return {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}
    session = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].assume_role(
        region_name=instance.region,
        role_session_name=instance.id,
        role_arn=f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/{role}",
        policy="",
        duration=_CREDENTIALS_S,
        external_id="",
    )
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.session_token,
        "LastUpdated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Expiration": session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
