"""A run's note says what came of it, in Airflow's own database; a person's note stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

SCRIPT = """
import json
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from pendulum import now

initdb()
notes = {}
with create_session() as session:
    session.merge(DagBundleModel(name="dags-folder"))
    session.commit()
    sync_bag_to_db(DagBag(dag_folder="dags/report.py", bundle_name="dags-folder"), "dags-folder", None, session=session)
    session.commit()
    dag = session.scalar(SerializedDagModel.latest_item_select_object("report")).dag
    for number, (said, own) in enumerate([("Night 2026-11-24", None), (None, None), ("Night 2026-11-24", "mine")]):
        run = dag.create_dagrun(
            run_id=str(number), run_after=now("UTC"), run_type=DagRunType.MANUAL, logical_date=None, data_interval=None,
            triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.RUNNING, session=session,
        )
        if own:
            run.note = (own, "a person")
        session.commit()
        if said:
            XComModel.set(key="note", value=said, task_id="draw", dag_id="report", run_id=run.run_id, session=session)
        run.set_state(DagRunState.FAILED if number else DagRunState.SUCCESS)
        run.notify_dagrun_state_changed(msg="")
        session.commit()
    session.expire_all()
    print(json.dumps([session.get(DagRun, run.id).note for run in session.query(DagRun).order_by(DagRun.run_id)]))
"""


def test_what_came_of_a_run_is_its_note(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}",
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == ["Night 2026-11-24", None, "mine"]
