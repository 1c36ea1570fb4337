"""What a failure means for the next try."""

from __future__ import annotations

import pytest
from airflow.providers.standard.exceptions import HITLRejectException
from airflow.sdk import RetryAction

from sparsebench.errors import BadInput, StoreError
from sparsebench.fleet.failures import (
    InstanceLost,
    LostTooOften,
    NoCapacity,
    NoRoom,
    NotOffered,
    OverBudget,
    QuotaReached,
    RequestRefused,
    StepFailed,
)
from sparsebench_airflow.on_instance import RETRY_POLICY


@pytest.mark.parametrize(
    "error", [NotOffered, OverBudget, LostTooOften, QuotaReached, NoRoom, RequestRefused, BadInput, HITLRejectException]
)
def test_what_trying_again_does_not_help_fails_at_once(error: type[Exception]) -> None:
    assert RETRY_POLICY.evaluate(error("so it is"), 1, 5).action is RetryAction.FAIL


@pytest.mark.parametrize("error", [NoCapacity, InstanceLost, StepFailed, StoreError, ConnectionError])
def test_everything_else_is_tried_again(error: type[Exception]) -> None:
    assert RETRY_POLICY.evaluate(error("for now"), 1, 5).action is not RetryAction.FAIL
