"""Why an instance does not do its job, as exceptions. Their class says whether trying again helps."""

from __future__ import annotations

from sparsebench.contracts import FailureReason
from sparsebench.errors import SparsebenchError


class FleetError(SparsebenchError):
    reason: FailureReason = "failed"


class QuotaReached(FleetError):
    """The account may run no more vCPUs. Waiting helps: others end."""

    reason: FailureReason = "quota"


class NoRoom(FleetError):
    """As many instances run as may at a time, or what they may still cost is all that is left of the budget."""

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
