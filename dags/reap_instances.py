"""
### What it does
Once an hour it terminates instances of the project whose run has ended, or whose time is up.

### When it fails
1. **AWS cannot be reached**: instances end themselves when their time is up, but look at the EC2 console for
   instances with the tag `sparsebench`, and clear the task.
2. **It says `leaked`**: it has terminated an instance that outlived its run or its expiry. Find out why the
   run's own `terminate` did not: its log is under the run that is named.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from sparsebench_airflow.reap import reap


@dag(
    schedule=CronTriggerTimetable("17 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    description="End instances that outlived their run, every hour",
    doc_md=__doc__,
    tags=["sparsebench", "4 keep clean"],
    default_args={"owner": "sparsebench"},
)
def reap_instances() -> None:
    @task(retries=3, retry_delay=timedelta(minutes=1), execution_timeout=timedelta(minutes=10))
    def terminate_leaked() -> list[str]:
        return reap(get_current_context()["ti"])

    terminate_leaked()


reap_instances()
