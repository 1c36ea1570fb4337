"""Who has not the key gets nothing done: neither a call nor a look."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from sparsebench.localcloud import LocalCloud
from sparsebench.localcloud.credentials import ACCESS_KEY_ID
from sparsebench.localcloud.iam.enforcement import unsigned

from .conftest import User

WRONG = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": "localcloud"}
NOBODY = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}


def client(cloud: LocalCloud, service: str, keys: dict[str, str]) -> Any:
    config = Config(retries={"max_attempts": 0}, signature_version="s3v4" if service == "s3" else None)
    return boto3.client(service, endpoint_url=cloud.url, region_name="us-east-1", config=config, **keys)  # type: ignore[call-overload]


def status(
    url: str, data: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
) -> int:
    try:
        return int(urllib.request.urlopen(urllib.request.Request(url, data, headers or {}, method=method)).status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("keys", [WRONG, NOBODY])
def test_without_the_key_nothing_is_launched_run_read_or_listed(
    localcloud: LocalCloud, user: User, keys: dict[str, str]
) -> None:
    instance = user.run_instances()[0]["InstanceId"]
    ec2, ssm, s3 = (client(localcloud, service, keys) for service in ("ec2", "ssm", "s3"))
    command = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["id"]}}
    calls: tuple[Callable[[], Any], ...] = (
        lambda: ec2.run_instances(ImageId=user.image, MinCount=1, MaxCount=1),
        lambda: ec2.describe_instances(),
        lambda: ssm.send_command(InstanceIds=[instance], **command),
        lambda: ssm.list_commands(),
        lambda: s3.list_buckets(),
        lambda: client(localcloud, "iam", keys).create_user(UserName="x"),
        lambda: client(localcloud, "sts", keys).assume_role(
            RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="xx"
        ),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 401, 403)
    assert user.instances() == [instance]


def test_its_own_addresses_want_the_key_and_an_instances_its_name(localcloud: LocalCloud, user: User) -> None:
    instance, own = user.run_instances()[0]["InstanceId"], f"{localcloud.url}/localcloud"
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}

    assert status(f"{own}/faults") == status(f"{own}/faults", b"[]") == 403
    assert status(f"{localcloud.url}/moto-api/reset", method="POST") == 403
    assert status(f"{localcloud.url}/moto-api/data.json") == 403
    assert status(f"{own}/imds/{instance}/latest/api/token", headers=ttl, method="PUT") == 404
    assert status(f"{own}/instances/{instance}/shutdown", b'{"after_s": 0}') == 404
    assert status(f"{localcloud.of_instance(instance, 'imds')}/latest/api/token", headers=ttl, method="PUT") == 200
    assert user.instances() == [instance]


def test_nothing_that_was_signed_can_be_changed(localcloud: LocalCloud) -> None:
    def sent(body: bytes = b"{}", changes: dict[str, str] | None = None) -> int:
        url = f"{localcloud.url}/"
        request = AWSRequest("POST", url, {"X-Amz-Target": "AmazonSSM.ListCommands"}, b"{}")
        SigV4Auth(Credentials(ACCESS_KEY_ID, localcloud.keys.secret), "ssm", "us-east-1").add_auth(request)
        return status(url, body, headers={**dict(request.headers.items()), **(changes or {})})

    assert sent() == 200
    assert sent(body=b'{"MaxResults": 1}') != 200
    assert sent(changes={"X-Amz-Target": "AmazonSSM.SendCommand"}) != 200
    assert sent(changes={"X-Amz-Date": "20200101T000000Z"}) != 200


def test_a_url_that_was_signed_gives_its_object_and_no_other(localcloud: LocalCloud) -> None:
    s3 = client(localcloud, "s3", localcloud.keys.boto3)
    s3.create_bucket(Bucket="signed")
    for name in ("a b+c/ü.txt", "other"):
        s3.put_object(Bucket="signed", Key=name, Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "a b+c/ü.txt"})

    assert status(url) == 200
    assert status(url.replace("a%20b%2Bc/%C3%BC.txt", "other")) == 403
    assert status(url.partition("?")[0]) == 403
    assert status(url, b"x", method="PUT") == 403


@pytest.mark.parametrize("begin", ["x ", "AWS4-HMAC-SHA256 ", ""])
def test_a_url_that_was_signed_for_an_object_calls_no_other_service(
    localcloud: LocalCloud, user: User, begin: str
) -> None:
    instance = user.launch()
    s3 = client(localcloud, "s3", localcloud.keys.boto3)
    s3.create_bucket(Bucket="signed-for-s3")
    s3.put_object(Bucket="signed-for-s3", Key="object", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed-for-s3", "Key": "object"})

    def asked(service: str, body: str, **headers: str) -> int:
        scope = f"{begin}Credential={ACCESS_KEY_ID}/20261127/us-east-1/{service}/aws4_request"
        return status(url, body.encode(), {"Authorization": scope, **headers}, method="GET")

    command = {"InstanceIds": [instance], "DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["id"]}}
    assert asked("ssm", json.dumps(command), **{"X-Amz-Target": "AmazonSSM.SendCommand"}) == 403
    launch = f"Action=RunInstances&Version=2016-11-15&ImageId={user.image}&MinCount=1&MaxCount=1"
    assert asked("ec2", launch, **{"Content-Type": "application/x-www-form-urlencoded"}) == 401
    assert user.instances() == [instance]
    assert user.ssm.list_commands(InstanceId=instance)["Commands"] == []


@pytest.mark.parametrize(
    ("authorization", "refused"),
    [
        (None, False),
        ("AWS AKIAIOSFODNN7EXAMPLE:signature", False),
        ("x /20261127/us-east-1/s3/aws4_request Credential=a/2/us-east-1/ec2/aws4_request", True),
        ("", True),
    ],
)
def test_where_policies_are_enforced_a_header_that_is_no_signature_is_nobodys(
    authorization: str | None, refused: bool
) -> None:
    headers = [] if authorization is None else [("Authorization", authorization)]
    request = Request(EnvironBuilder("/bucket/object", method="GET", headers=headers).get_environ())
    assert (unsigned(request, "secret", enforced=True) is not None) == refused


def test_a_url_that_has_expired_or_was_altered_is_refused(
    localcloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = client(localcloud, "s3", localcloud.keys.boto3)
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="object", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "object"}, ExpiresIn=60)
    assert status(url) == 200
    assert status(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")) == 403
    assert status(url.replace("X-Amz-Signature=", "X-Amz-Signature=0")) == 403

    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: an_hour_ago.replace(tzinfo=None))
    past = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "object"}, ExpiresIn=60)
    assert "X-Amz-Date=" + an_hour_ago.strftime("%Y%m%dT%H%M") in past
    assert status(past) == 403
    longer = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "object"}, ExpiresIn=7200)
    assert status(longer) == 200


def test_a_url_is_for_the_host_of_its_buckets_region(localcloud: LocalCloud) -> None:
    port = localcloud.url.rpartition(":")[2]
    keys: Any = localcloud.keys.boto3

    def signed(host: str, region: str) -> int:
        """What is answered to a URL that was signed for a host. The name is not looked up: it is this machine's."""
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        made = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name=region, config=config, **keys)
        url = made.generate_presigned_url("get_object", Params={"Bucket": "frankfurt", "Key": "object"})
        at = f"frankfurt.{host}:{port}"
        assert at in url
        return status(url.replace(at, f"127.0.0.1:{port}"), headers={"Host": at})

    s3 = boto3.client("s3", endpoint_url=localcloud.url, region_name="eu-central-1", **keys)
    s3.create_bucket(Bucket="frankfurt", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="frankfurt", Key="object", Body=b"content")

    assert signed("s3.eu-central-1.localhost", "eu-central-1") == 200
    assert signed("s3.localhost", "eu-central-1") == 307
    assert signed("s3.us-east-1.localhost", "eu-central-1") == 301
    assert signed("s3.eu-central-1.localhost", "us-east-1") == 400


def test_what_streams_is_taken_from_every_client(localcloud: LocalCloud, tmp_path: Path) -> None:
    content = os.urandom(6 << 20)
    file = tmp_path / "file"
    file.write_bytes(content)
    s3 = client(localcloud, "s3", localcloud.keys.boto3)
    s3.create_bucket(Bucket="streams")
    s3.upload_file(str(file), "streams", "boto3", Config=TransferConfig(multipart_threshold=5 << 20))
    with file.open("rb") as stream:
        s3.put_object(Bucket="streams", Key="stream", Body=stream)
    hook = S3Hook()
    hook.load_file(file, "hook", "streams")
    assert hook.check_for_key("hook", "streams")
    files = s3fs.S3FileSystem(skip_instance_cache=True, config_kwargs={"signature_version": "s3v4"})
    files.pipe("streams/s3fs", content[:100])
    files.put(str(file), "streams/s3fs-parts")
    with files.open("streams/s3fs-written", "wb", block_size=5 << 20) as target:
        target.write(content)
    files.copy("streams/s3fs-written", "streams/s3fs copied+ü")
    for name in ("boto3", "stream", "hook", "s3fs-parts", "s3fs-written", "s3fs copied+ü"):
        assert s3.get_object(Bucket="streams", Key=name)["Body"].read() == content, name
        assert files.cat(f"streams/{name}") == content, name
    assert status(files.sign("streams/s3fs copied+ü")) == 200
    assert sorted(files.ls("streams"))[0] == "streams/boto3"
    files.rm("streams", recursive=True)
    assert not files.exists("streams")


def test_what_is_large_and_not_signed_with_the_key_is_refused_once_it_was_sent(localcloud: LocalCloud) -> None:
    client(localcloud, "s3", localcloud.keys.boto3).create_bucket(Bucket="large")
    files = s3fs.S3FileSystem(skip_instance_cache=True, key="nobody", secret="x", endpoint_url=localcloud.url)
    with pytest.raises(PermissionError, match="does not exist in our records"):
        files.pipe("large/object", bytes(8 << 20))


@pytest.mark.parametrize("payload", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD"])
def test_a_body_that_is_not_signed_is_taken_where_its_headers_are(localcloud: LocalCloud, payload: str) -> None:
    """As SDKs send it over TLS: in chunks, with its checksum at the end."""

    class Unsigned(S3SigV4Auth):
        def payload(self, request: Any) -> str:
            return payload

    s3 = client(localcloud, "s3", localcloud.keys.boto3)
    s3.create_bucket(Bucket="trailer")
    content = sent = b"content"
    headers = {"Content-Type": "application/octet-stream"}
    if payload.startswith("STREAMING"):
        checksum = base64.b64encode(zlib.crc32(content).to_bytes(4, "big"))
        sent = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(content), content, checksum)
        headers |= {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Trailer": "x-amz-checksum-crc32",
            "X-Amz-Decoded-Content-Length": str(len(content)),
        }
    url = f"{localcloud.url}/trailer/object"
    request = AWSRequest("PUT", url, headers, sent)
    Unsigned(Credentials(ACCESS_KEY_ID, localcloud.keys.secret), "s3", "us-east-1").add_auth(request)

    assert status(url, sent, dict(request.headers.items()), "PUT") == 200
    assert s3.get_object(Bucket="trailer", Key="object")["Body"].read() == content


def test_the_key_is_in_a_file_of_its_owner(localcloud: LocalCloud) -> None:
    file = localcloud.root / "secret-access-key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text()) == 40


def test_a_page_of_another_site_is_refused_also_where_it_names_no_origin(localcloud: LocalCloud) -> None:
    for site in ("cross-site", "same-site", "none"):
        assert status(f"{localcloud.url}/localcloud", headers={"Sec-Fetch-Site": site}) == 403


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000, b"null", b"1"])
def test_a_body_that_cannot_be_read_is_the_callers_fault(localcloud: LocalCloud, body: bytes) -> None:
    url = f"{localcloud.url}/"
    request = AWSRequest("POST", url, {"X-Amz-Target": "AmazonSSM.SendCommand"}, body)
    SigV4Auth(Credentials(ACCESS_KEY_ID, localcloud.keys.secret), "ssm", "us-east-1").add_auth(request)

    assert status(url, body, headers=dict(request.headers.items())) == 400
