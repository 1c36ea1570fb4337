"""What Airflow's own scheduling makes of the nightly timetable, in a database with runs in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

SCRIPT = """
import json, sys
from datetime import timedelta
from airflow.dag_processing.collection import DagModelOperation
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from pendulum import now
from sparsebench_airflow import timetable

timetable.LATE = timedelta(minutes=30)  # so that a slow machine does not decide this test
initdb()
with create_session() as session:
    session.merge(DagBundleModel(name="dags-folder"))
    session.commit()
    bag = DagBag(dag_folder="dags/benchmark_sweep.py", bundle_name="dags-folder")
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None, session=session)
    session.commit()
    answers = []
    for case in json.loads(sys.argv[1]):
        session.query(DagRun).delete()
        dag = session.scalar(SerializedDagModel.latest_item_select_object("benchmark_sweep")).dag
        model = session.get(DagModel, "benchmark_sweep")
        model.is_paused = case["paused"]
        tick = dag.timetable._align_to_prev(now("UTC"))
        for days in case["days_ago"]:
            at = tick.subtract(days=days)
            dag.create_dagrun(
                run_id=f"{case['kind']}__{days}", run_after=at, run_type=DagRunType(case["kind"]), data_interval=None,
                triggered_by=DagRunTriggeredByType.TIMETABLE, state=DagRunState.SUCCESS, session=session,
                partition_key=at.strftime("%Y-%m-%d"), partition_date=at, logical_date=None,
            )
        session.commit()
        # as the DAG processor does when it reads the file again
        DagModelOperation({"benchmark_sweep": LazyDeserializedDAG.from_dag(bag.dags["benchmark_sweep"])},
                          "dags-folder", None).update_dags({"benchmark_sweep": model}, None, session=session)
        session.commit()
        due = [dag.dag_id for dag in DagModel.dags_needing_dagruns(session)[0]]
        answers.append({"due": due, "partition": model.next_dagrun_partition_key, "tick": tick.isoformat()})
print(json.dumps(answers))
"""


def scheduled(tmp_path: Path, minutes_ago: int, *cases: dict[str, Any]) -> list[dict[str, Any]]:
    """For each case, what Airflow's scheduler would start now, when the night's time was so many minutes ago.

    A case: the kind of the runs that there are, how many days before that time each was, and whether the DAG is paused.
    """
    night = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}",
        "SPARSEBENCH_NIGHTLY_SCHEDULE": f"{night.minute} {night.hour} * * *",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(cases)], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_only_a_night_that_the_schedule_itself_has_missed_is_made_up_for(tmp_path: Path) -> None:
    first, backfilled, unpaused, missed = scheduled(
        tmp_path,
        180,
        {"kind": "scheduled", "days_ago": [], "paused": False},
        {"kind": "backfill", "days_ago": [3, 2], "paused": False},
        {"kind": "scheduled", "days_ago": [4, 3], "paused": True},
        {"kind": "scheduled", "days_ago": [2, 1], "paused": False},
    )
    tomorrow = (datetime.fromisoformat(first["tick"]) + timedelta(days=1)).date().isoformat()
    assert [case["due"] for case in (first, backfilled, unpaused)] == [[]] * 3
    assert [case["partition"] for case in (first, backfilled, unpaused)] == [tomorrow] * 3
    assert missed["due"] == ["benchmark_sweep"]
    assert missed["partition"] == missed["tick"][:10]


def test_a_night_whose_time_has_just_come_is_not_passed_over(tmp_path: Path) -> None:
    """The file may be read again between the night's time and the start of its run."""
    cases = [
        {"kind": kind, "days_ago": days, "paused": False}
        for kind, days in (("backfill", [3, 2]), ("scheduled", [1]), ("scheduled", []))
    ]
    for case in scheduled(tmp_path, 1, *cases):
        assert case["due"] == ["benchmark_sweep"]
        assert case["partition"] == case["tick"][:10]
