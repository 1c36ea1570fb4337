"""The DAG files parse, and say what to do when they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
READ = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags")
print(json.dumps({"errors": bag.import_errors, "dags": {
    name: {"doc": dag.doc_md, "description": dag.description, "tags": sorted(dag.tags), "owner": dag.owner}
    for name, dag in bag.dags.items()
}}))
"""
NEXT_NIGHT = """
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
import pytest
dag = DagBag(dag_folder="dags/benchmark_sweep.py").dags["benchmark_sweep"]
timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable  # as the scheduler has it
print(timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=TimeRestriction(None, None, False)).run_after)
"""


def last_line(script: str, home: Path, **environment: str) -> str:
    """What a script that reads the DAGs prints in the end."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}",
        **environment,
    }
    finished = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()[-1]


def test_unpausing_does_not_start_the_night_that_has_just_begun(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    just_now = now - timedelta(minutes=10)
    schedule = f"{just_now.minute} {just_now.hour} * * *"
    assert datetime.fromisoformat(last_line(NEXT_NIGHT, tmp_path, SPARSEBENCH_NIGHTLY_SCHEDULE=schedule)) > now


def test_every_dag_says_what_it_does_and_then_what_to_do_when_it_fails_and_whose_it_is(tmp_path: Path) -> None:
    read = json.loads(last_line(READ, tmp_path))
    assert read["errors"] == {}
    names = {"sparsify", "import_model", "benchmark_sweep", "recommend", "report", "history"}
    names |= {"bisect", "reap_instances", "nothing_left_over", "doctor"}
    assert set(read["dags"]) == names
    for described in read["dags"].values():
        doc = described["doc"].strip()
        assert doc.startswith("### What it does")
        assert "\n### When it fails\n" in doc
        assert described["description"]
        assert described["owner"] == "sparsebench"
    # sorted by their second tag, the DAGs are in the order in which a person uses them
    assert [read["dags"][name]["tags"] for name in sorted(names, key=lambda name: read["dags"][name]["tags"])] == [
        *([["1 prepare", "sparsebench"]] * 2),
        *([["2 measure", "sparsebench"]] * 2),
        *([["3 report", "sparsebench"]] * 3),
        *([["4 keep clean", "sparsebench"]] * 3),
    ]


TELL = """
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
dag = DagBag(dag_folder="dags/history.py").dags["history"]
look, tell, judge = (dag.get_task(name).python_callable for name in ("look", "tell", "judge"))
def ends(task, *given):
    try:
        task(*given)
    except (AirflowFailException, AirflowSkipException) as error:
        return f"{type(error).__name__}: {error}"
    return "success"
class Instance:
    def xcom_pull(self, task_ids):
        return f"what {task_ids} returned"
slower, faster = ({"direction": how, "sentence": f"OpenVINO is {how}."} for how in ("slower", "faster"))
new = look()
sent = []
for notifier in dag.get_task("tell").on_success_callback:
    type(notifier).notify = lambda self, context: sent.append(self.message)
    notifier({"dag": dag, "ti": Instance()})
print([new, ends(tell, new), ends(judge, [faster]), ends(judge, [faster, slower]), sent])
"""
NOTIFIER = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"
MESSAGE = {"target_arn": "arn:aws:sns:us-east-1:1:t", "message": "Nights: {{ ti.xcom_pull(task_ids='tell') }}"}


@pytest.mark.parametrize(
    ("settings", "ended", "sent"),
    [
        ({}, "success", []),
        (
            {"SPARSEBENCH_FAIL_ON_REGRESSION": "1", "SPARSEBENCH_NOTIFIERS": json.dumps({NOTIFIER: MESSAGE})},
            "AirflowFailException: OpenVINO is slower.",
            ["Nights: what tell returned"],
        ),
    ],
    ids=["unset", "set"],
)
def test_what_changed_is_told_and_fails_the_run_as_it_is_configured(
    tmp_path: Path, settings: dict[str, str], ended: str, sent: list[str]
) -> None:
    nothing = "AirflowSkipException: nothing has changed that was not told before"
    store = (tmp_path / "store").as_uri()
    assert last_line(TELL, tmp_path, SPARSEBENCH_STORE=store, **settings) == str([[], nothing, "success", ended, sent])
