"""When nights begin."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.timetables.base import DagRunInfo
from airflow.timetables.trigger import CronPartitionTimetable
from airflow.utils.types import DagRunType
from pendulum import DateTime
from pendulum import now as pendulum_now

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

LATE = timedelta(minutes=2)
"""How old a night's time may be that still counts as now. Airflow computes the next run whenever it reads the DAG's
file, which may be in the moment between the night's time and the start of its run."""


class NightlyTimetable(CronPartitionTimetable):
    """A run a night, each a partition, and none that nobody has asked for.

    Airflow's own timetable starts the newest night whose time has passed, whenever the last automated run is older.
    That is right for a night that was missed because Airflow was down. It is wrong after a backfill of older nights,
    whose runs count as automated, and for a DAG that was paused: both would start tonight's sweep at any time of the
    day, at once. So a night that was missed is made up for only where the schedule was on and its last run was the
    schedule's own.
    """

    def __init__(self, cron: str, **kwargs: Any):
        super().__init__(cron, **{"timezone": "UTC", "key_format": "%Y-%m-%d", "run_immediately": LATE, **kwargs})

    def run_info_from_dag_run(self, *, dag_run: DagRun) -> DagRunInfo:
        """What the next run follows: the last automated run, or the last night's time where that is later and the
        schedule has nothing to make up for."""
        info = super().run_info_from_dag_run(dag_run=dag_run)
        if dag_run.run_type == DagRunType.SCHEDULED and not dag_run.dag_model.is_paused:
            return info
        passed: DateTime = self._align_to_prev(pendulum_now("UTC") - LATE)
        return info._replace(run_after=max(info.run_after, passed))
