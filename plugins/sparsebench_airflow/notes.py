"""A run's note: what came of it, where the run is looked at, and not only in a task's log.

A task cannot write the note of its own run. So it leaves the text as an XCom, and the scheduler, which tells its
listeners of the end of every run, writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.sdk import Context
from sqlalchemy.orm import object_session

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

KEY = "note"


def leave(context: Context, note: str) -> None:
    """Have this (Markdown) be the run's note when the run has ended."""
    context["ti"].xcom_push(KEY, note)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    _write(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    _write(dag_run)


def _write(dag_run: DagRun) -> None:
    """A person's own note is left as it is."""
    from airflow.models.xcom import XComModel

    session: Any = object_session(dag_run)
    if session is None or (dag_run.dag_run_note and dag_run.dag_run_note.user_id):
        return
    note = session.scalar(XComModel.get_many(run_id=dag_run.run_id, key=KEY, dag_ids=dag_run.dag_id, limit=1))
    if note is not None:
        dag_run.note = XComModel.deserialize_value(note)
