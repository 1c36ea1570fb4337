"""Why an instance does not do its job, as exceptions. Their class says whether trying again helps."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from sparsebench.contracts import FailureReason
from sparsebench.errors import SparsebenchError


class FleetError(SparsebenchError):
    reason: FailureReason = "failed"


class QuotaReached(FleetError):
    """The account may run no more vCPUs. Waiting helps: others end."""

    reason: FailureReason = "quota"


class NoRoom(FleetError):
    """So many instances run as may at a time, or what they may still cost is all that is left of the budget."""

    reason: FailureReason = "quota"


class NoCapacity(FleetError):
    """No zone has such an instance now. Later one may."""

    reason: FailureReason = "capacity"


class NotOffered(FleetError):
    """No zone that may be launched in offers the type. Trying again is of no use."""

    reason: FailureReason = "unsupported"


class OverBudget(FleetError):
    """What is left of the run's budget does not pay for the instance."""

    reason: FailureReason = "over_budget"


class InstanceLost(FleetError):
    """The instance ended before its job, or was given up: another one can go on with what is missing."""

    reason: FailureReason = "interrupted"


class LostTooOften(InstanceLost):
    """So many instances of the job were lost that another would be, too."""


class StepFailed(FleetError):
    """A command on an instance ended otherwise than with success."""


class OutOfMemory(StepFailed):
    """What a command ran was killed, for want of memory: another try on the same type ends in the same way."""


class RequestRefused(StepFailed):
    """The job can never be done as it was asked: a file that is no ONNX, a network that no engine runs."""


class Refused(FleetError):
    """EC2 refuses the launch for what it asks for, or who asks: trying again is of no use before that is changed."""

    reason: FailureReason = "unsupported"


_MISSING = re.compile(r"not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\S+))?")
_ADVICE = {
    "InvalidAMIID": "the image is gone, or of another region: set SPARSEBENCH_IMAGE (or SPARSEBENCH_ARM_IMAGE) "
    "for new nights; a night keeps the image that it was frozen with, and one whose image was deregistered can be "
    "launched no more",
    "InvalidSubnet": "set SPARSEBENCH_SUBNETS to subnets of this region",
    "InvalidGroup": "set SPARSEBENCH_SECURITY_GROUP to a group of the subnets' VPC",
    "InvalidSecurityGroup": "set SPARSEBENCH_SECURITY_GROUP to a group of the subnets' VPC",
    "InvalidLaunchTemplate": "set SPARSEBENCH_LAUNCH_TEMPLATE to the id that the stack puts out",
    "InvalidInstanceType": "give an instance type that EC2 offers in this region",
    "InvalidParameter": "the message says which; it comes from Airflow's SPARSEBENCH_ variables or the launch template",
    "MissingInput": "there is no default VPC: set SPARSEBENCH_SUBNETS",
    "VPCIdNotSpecified": "there is no default VPC: set SPARSEBENCH_SUBNETS",
    "PendingVerification": "AWS has yet to verify the account for this region; wait for its message",
    "OptInRequired": "the account has to subscribe to the service or to the image first",
    "AuthFailure": "the credentials are not valid here",
}
"""What to change, by how an error code of EC2 begins."""


def refusal(error: ClientError) -> Refused | None:
    """What an error of AWS means that no retry mends; None: another one."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
        match = _MISSING.search(message)
        right = match["action"] if match else error.operation_name
        where = f" on {match['resource']}" if match and match["resource"] else ""
        return Refused(
            f"{code}: Airflow may not {right}{where}: add that to its policy (docs/aws.md), or update the stack, whose "
            "parameters say which instance types and images may be launched"
        )
    for begin, advice in _ADVICE.items():
        if code.startswith(begin):
            return Refused(f"{code}: {message}: {advice}")
    return None
