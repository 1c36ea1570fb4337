"""The store: that its bucket is there, in the right region, keeps versions, and takes nothing in the clear."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from sparsebench.doctor.findings import Finding, Found, Patient, ask


def findings(patient: Patient) -> Found:
    uri = patient.settings.store
    if patient.bucket is None:
        if set(patient.settings.nightly_instance_types) <= {"localhost"}:
            yield Finding("store", "right", f"{uri}, for instances of this machine")
        else:
            todo = "set SPARSEBENCH_STORE to what the stack puts out: s3://bucket/prefix"
            yield Finding("store", "wrong", f"{uri}: an instance of EC2 does not reach it", todo)
        return
    bucket, prefix = patient.bucket
    s3 = patient.client("s3")

    def there() -> Finding:
        region = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if region not in (None, patient.region):
            todo = f"set AWS_DEFAULT_REGION={region}, or create the stack in {patient.region}"
            return Finding("store", "wrong", f"{bucket} is in {region}, and instances in {patient.region}", todo)
        s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", MaxKeys=1)
        return Finding("store", "right", f"{uri}, in {region or patient.region}")

    answer = ask("store", there, "set SPARSEBENCH_STORE to what the stack puts out")
    yield answer
    if answer.state == "wrong":
        return

    def versions() -> Finding:
        status = s3.get_bucket_versioning(Bucket=bucket).get("Status", "never enabled")
        if status != "Enabled":
            todo = "enable versioning, as the stack does: a false write can then be taken back"
            return Finding("store: versions", "wrong", f"versioning is {status.lower()}", todo)
        return Finding("store: versions", "right", "enabled")

    yield ask("store: versions", versions, "see the bucket's properties in the console")

    def tls() -> Finding:
        try:
            policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            policy = {"Statement": []}
        denied = any(
            statement["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(statement.get("Condition", {}))
            for statement in policy["Statement"]
        )
        if denied:
            return Finding("store: TLS", "right", "nothing is taken without it")
        return Finding("store: TLS", "wrong", "the bucket takes what comes in the clear", "give it the stack's policy")

    yield ask("store: TLS", tls, "see the bucket's permissions in the console")
