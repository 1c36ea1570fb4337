"""
### What it does
Once a night, before the nightly sweep, it checks that nothing is left over: no instance whose run has ended or whose
time is up, and no volume of an instance that has ended. It only looks; `reap_instances` is what ends instances.

### When it fails
Something of the project still costs money though no run needs it; the log lists it. Terminate the instances and
delete the volumes in the EC2 console, and find out why neither the run's `terminate`, nor the instance itself, nor
`reap_instances` did: their logs are under the run that the instance's tag `sparsebench:run` names.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sparsebench_airflow.reap import left_over


@dag(
    schedule=CronTriggerTimetable("45 1 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    description="Fail when anything of the project is left over, every night",
    doc_md=__doc__,
    tags=["sparsebench", "4 keep clean"],
    default_args={"owner": "sparsebench"},
)
def nothing_left_over() -> None:
    @task(retries=3, retry_delay=timedelta(minutes=1), execution_timeout=timedelta(minutes=10))
    def check() -> None:
        leftovers = left_over(get_current_context()["ti"])
        for leftover in leftovers:
            print(f"left over: {leftover}")
        if leftovers:
            raise AirflowFailException(f"{len(leftovers)} left over: {'; '.join(leftovers)}")

    check()


nothing_left_over()
