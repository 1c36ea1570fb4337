"""Who is asked, as whom, and by which clock; what that one may do; and how many instances the account may run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from sparsebench.contracts import InstanceFacts
from sparsebench.doctor.findings import Finding, Found, Patient, ask

SKEW_S = 240
"""Of this machine's clock against AWS's, which takes no signature that is five minutes old."""

QUOTAS = {
    "on_demand": ("L-1216C47A", "Running On-Demand Standard instances"),
    "spot": ("L-34B43A08", "All Standard Spot Instance Requests"),
}
"""Service Quotas' codes of EC2's vCPUs, by market."""


def region(name: str | None) -> Finding:
    if name is None:
        todo = "set AWS_DEFAULT_REGION to the region to launch in, such as us-east-1"
        return Finding("region", "wrong", "none is configured", todo)
    return Finding("region", "right", name)


def identity(patient: Patient) -> tuple[list[Finding], Patient | None]:
    """None: nobody answers to these credentials."""
    sts = patient.client("sts")
    try:
        answer = sts.get_caller_identity()
    except NoCredentialsError:
        todo = "give Airflow's machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (docs/aws.md)"
        return [Finding("credentials", "wrong", "none were found", todo)], None
    except (BotoCoreError, ClientError) as error:
        todo = "check that the keys are of this account and not expired, and that this machine's clock is right"
        return [Finding("credentials", "wrong", str(error), todo)], None
    patient.caller = answer["Arn"]
    at = sts.meta.endpoint_url
    emulated = "" if "amazonaws.com" in at else f", at {at}, which is not AWS"
    return [Finding("credentials", "right", f"{answer['Arn']}{emulated}"), _clock(patient, answer)], patient


def _clock(patient: Patient, answer: Mapping[str, Any]) -> Finding:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return Finding("clock", "unknown", "AWS did not say what time it is")
    ahead_s = (patient.now - parsedate_to_datetime(date).astimezone(UTC)).total_seconds()
    told = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} AWS's"
    if abs(ahead_s) <= SKEW_S:
        return Finding("clock", "right", told)
    return Finding(
        "clock", "wrong", told, "let this machine's clock be set by NTP (chrony): AWS refuses late signatures"
    )


def quotas(patient: Patient, types: Sequence[InstanceFacts]) -> Found:
    """Against the largest type: what the account has no room for at once waits, one after the other."""
    vcpus = max((facts.vcpus or 0 for facts in types), default=0)
    if not vcpus:
        return
    for market in ("spot", "on_demand") if patient.settings.market == "spot" else ("on_demand",):
        yield ask("quota", partial(_quota, patient, market, vcpus), "see Service Quotas, Amazon EC2, in the console")


def _quota(patient: Patient, market: str, vcpus: int) -> Finding:
    code, name = QUOTAS[market]
    answer = patient.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)
    value = answer["Quota"]["Value"]
    told = f"{value:.0f} vCPUs ({name}), and the largest type has {vcpus}"
    if value < vcpus:
        return Finding("quota", "wrong", told, f"ask for more: console: Service Quotas, Amazon EC2, {code}")
    return Finding("quota", "right", f"{told}: {int(value // vcpus)} of those at a time")


# ---------------------------------------------------------------------------------------------- permissions

TAGGED = {"ec2:ResourceTag/sparsebench": "x", "ssm:resourceTag/sparsebench": "x"}


def needed(patient: Patient) -> Iterator[tuple[str, list[str], list[str], dict[str, str]]]:
    """Statement of the stack, its actions, the resources that they are needed on, and what is true of these.

    What a launch needs is not among them: a dry run of one says that (machines.py).
    """
    account = patient.caller.split(":")[4]
    here = f"{patient.region}:{account}"
    yield "TerminateTagged", ["ec2:TerminateInstances"], [f"arn:aws:ec2:{here}:instance/i-0"], TAGGED
    yield "SendToTagged", ["ssm:SendCommand"], [f"arn:aws:ec2:{here}:instance/i-0"], TAGGED
    document = f"arn:aws:ssm:{patient.region}::document/AWS-RunShellScript"
    yield "SendShellScript", ["ssm:SendCommand"], [document], {}
    look = ["Images", "Instances", "InstanceTypeOfferings", "InstanceTypes", "SpotPriceHistory", "Subnets", "Volumes"]
    yield "Look", [f"ec2:Describe{name}" for name in look], ["*"], {}
    follow = ["CancelCommand", "DescribeInstanceInformation", "GetCommandInvocation", "ListCommands"]
    yield "FollowCommands", [f"ssm:{name}" for name in follow], ["*"], {}
    yield "ReadQuotas", ["servicequotas:GetServiceQuota"], ["*"], {}
    yield "ReadPrices", ["pricing:GetProducts"], ["*"], {}
    yield "ReadMetrics", ["cloudwatch:GetMetricStatistics"], ["*"], {}
    if patient.bucket:
        name, prefix = patient.bucket
        bucket = f"arn:aws:s3:::{name}"
        below = f"{bucket}/{prefix}/" if prefix else f"{bucket}/"
        yield "ListStore", ["s3:ListBucket"], [bucket], {"s3:prefix": f"{prefix}/nights"}
        yield "ReadStore", ["s3:GetObject"], [f"{below}nights/x"], {}
        yield "WriteStore", ["s3:PutObject", "s3:AbortMultipartUpload"], [f"{below}nights/x"], {}
        yield "RemoveProbe", ["s3:DeleteObject"], [f"{below}progress/.probe-x"], {}


def permissions(patient: Patient) -> Found:
    """The permissions of who asks, by IAM's simulation; launching is tried by a dry run instead (machines.py)."""
    source = re.sub(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.*", r"arn:aws:iam::\1:role/\2", patient.caller)
    if source.endswith(":root"):
        yield Finding("permissions", "right", f"{source} may do everything; let Airflow be somebody who may less")
        return
    iam = patient.client("iam")
    for statement, actions, resources, true in needed(patient):
        look = partial(_may, iam, source, statement, actions, resources, true)
        yield ask(f"may: {statement}", look, "see docs/aws.md")


def _may(
    iam: Any, source: str, statement: str, actions: Sequence[str], resources: Sequence[str], true: Mapping[str, str]
) -> Finding:
    entries = [
        {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]} for key, value in true.items()
    ]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=source, ActionNames=actions, ResourceArns=resources, ContextEntries=entries
    )
    refused = [
        result["EvalActionName"] for result in answer["EvaluationResults"] if result["EvalDecision"] != "allowed"
    ]
    if refused:
        todo = f"update the stack, whose statement {statement} has it, or attach its policy (docs/aws.md)"
        return Finding(f"may: {statement}", "wrong", f"{source} may not {', '.join(refused)}", todo)
    return Finding(f"may: {statement}", "right", ", ".join(actions))
