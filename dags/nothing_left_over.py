"""
### When it fails
Something of the project still costs money though no run needs it; the log lists it. Terminate the instances and
delete the volumes in the EC2 console, and find out why neither the run's `terminate`, nor the instance itself, nor
`reap_instances` did: their logs are under the run that the instance's tag `sparsebench:run` names.

### What it does
Once a night, before the nightly sweep, it checks that nothing is left over: no instance whose run has ended or whose
time is up, and no volume of an instance that has ended. It only looks; `reap_instances` is what ends instances.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from fleet.reap import left_over


@dag(
    schedule=CronTriggerTimetable("45 1 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sparsebench"],
)
def nothing_left_over() -> None:
    @task(retries=3, retry_delay=timedelta(minutes=1), execution_timeout=timedelta(minutes=10))
    def check() -> None:
        found = left_over(get_current_context()["ti"])
        for thing in found:
            print(f"left over: {thing}")
        if found:
            raise AirflowFailException(f"{len(found)} left over: {'; '.join(found)}")

    check()


nothing_left_over()
