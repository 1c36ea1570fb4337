"""Ask a person before much is spent."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from sparsebench.settings import Settings


class ApproveCostOperator(ApprovalOperator):
    """Wait for a person's approval where a run is expected to cost more than the configured threshold, or where
    nobody knows what it costs.

    Nothing is launched meanwhile. A rejection fails the task, so that nothing is launched at all.

    :param plan: id of the task that has pushed ``usd`` (None: a price is not known) and ``expected`` (lines) as XComs.
    """

    def __init__(self, *, plan: str, **kwargs: Any):
        super().__init__(subject="What may be spent", fail_on_reject=True, **kwargs)
        self.plan = plan

    def execute(self, context: Context) -> Any:
        ti, threshold = context["ti"], Settings().ask_above_usd
        usd: Any = ti.xcom_pull(task_ids=self.plan, key="usd")
        if threshold is None or (usd is not None and usd <= threshold):
            self.log.info("%s: nobody has to be asked", "Unknown cost" if usd is None else f"About {usd:.2f} USD")
            return None
        self.subject = (
            "What this sweep costs is not known" if usd is None else f"This sweep is expected to cost {usd:.2f} USD"
        )
        # A Markdown list: other lines would run together in the UI.
        expected: Any = ti.xcom_pull(task_ids=self.plan, key="expected")
        self.body = "\n".join(f"- {line}" for line in expected.splitlines())
        return super().execute(context)
