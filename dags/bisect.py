"""
### What it does
Says on which side a change of the history is: it measures the inputs of a night before it and of one after it (models,
code, packages, image, protocol) on the same instance type, on several instances each, by turns, in one run. What the
inputs do is then seen on the same hosts; what is not seen again was the hosts'. The run's note has the answer. Both
sides are nights of today with reports of their own, and no part of the history.

### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **`ask` waits**: the run is expected to cost more than the threshold; answer under *Required Actions*.
3. **A step of `on_instance` failed**: its log says why; see `benchmark_sweep`. What the others measured counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, TriggerRule, dag, get_current_context, task

from sparsebench import catalog
from sparsebench.contracts import Collection, Job
from sparsebench.fleet import bisection, spending
from sparsebench.fleet.collect import collect as collect_results
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow import notes
from sparsebench_airflow.approval import ApproveCostOperator
from sparsebench_airflow.assets import RESULTS
from sparsebench_airflow.links import report_href
from sparsebench_airflow.on_instance import RETRIED, on_instance
from sparsebench_airflow.outcome import fail_unless_all_succeeded, failed_steps
from sparsebench_airflow.params import budget, given, instance_type, networks_with_a_model, own_networks
from sparsebench_airflow.run import chosen, run_of

settings = Settings()


def night(title: str, description: str) -> Any:
    return Param(type="string", minLength=10, maxLength=14, title=title, description=description)


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    description="Say whether a change is the inputs' or the hosts'",
    doc_md=__doc__,
    tags=["sparsebench", "3 report"],
    default_args={"owner": "sparsebench"},
    params={
        "before": night("Night before", "The last one before the change, such as 2026-11-23."),
        "after": night("Night after", "One after the change."),
        "instance_type": instance_type(settings.nightly_instance_types[0], catalog.cpu_instance_types()),
        "networks": networks_with_a_model(),
        "own_networks": own_networks(),
        "each": Param(
            3,
            type="integer",
            minimum=bisection.FEWEST,
            maximum=bisection.MOST,
            title="Instances of each",
            description="Hosts differ: the more there are, the smaller is what can be told.",
        ),
        "budget_usd": budget(settings),
    },
)
def bisect() -> None:
    @task(**RETRIED)
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params = given(context)
        on = chosen([params["instance_type"]], "instance_type")
        planned = bisection.plan_bisection(
            Store(settings.store),
            (params["before"], params["after"]),
            params["instance_type"],
            (*(params["networks"] or ()), *(params["own_networks"] or ())),
            params["each"],
            run_of(context, on),
            datetime.now(UTC),
        )
        table = spending.table(planned.expected)
        print(table)
        context["ti"].xcom_push("expected", table)
        context["ti"].xcom_push("usd", spending.total_usd(planned.expected))
        return [job.model_dump(mode="json") for job in planned.jobs]

    @task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, outlets=[RESULTS], **RETRIED)
    def collect(planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What either side has, before and after, and what is missing and why."""
        context = get_current_context()
        jobs = [Job.model_validate(job) for job in planned]
        failed, collections = failed_steps(context, jobs), list[Collection]()
        for side in (jobs[::2], jobs[1::2]):  # they come by turns
            collections.append(collect_results(Store(settings.store), side, failed, datetime.now(UTC)))
            context["outlet_events"][RESULTS].add_partitions(collections[-1].night)
        return [collection.model_dump(mode="json") for collection in collections]

    @task(**RETRIED)
    def answer() -> list[str]:
        """Say on which side it is; fail where a step of an instance did, or the run ended before anything was there."""
        context = get_current_context()
        collected: Any = context["ti"].xcom_pull(task_ids="collect")
        if collected is None:
            fail_unless_all_succeeded(context)
        from sparsebench.report.bisection import answer as answered

        before, after = (Collection.model_validate(collection).night for collection in collected)
        sentences = answered(Store(settings.store), (before, after), given(context)["instance_type"])
        print("\n".join(sentences))
        reports = f"[Report before]({report_href(before)}) [Report after]({report_href(after)})"
        notes.leave(context, "\n\n".join([*sentences, reports]))
        fail_unless_all_succeeded(context)
        return sentences

    # As a setup and its teardown, so that `answer` also runs, and fails, where a person marks the run failed.
    begin = EmptyOperator(task_id="begin")
    jobs = plan()
    collected = collect(jobs)
    measured = on_instance.expand(job=jobs)
    begin >> jobs >> ApproveCostOperator(task_id="ask", plan="plan", **RETRIED) >> measured >> collected
    collected >> answer().as_teardown(setups=begin, on_failure_fail_dagrun=True)


bisect()
