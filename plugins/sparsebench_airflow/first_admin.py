"""Makes the first admin of a server whose logins are FAB's: ``python -m sparsebench_airflow.first_admin``.

The password is that of AIRFLOW_ADMIN_PASSWORD. As an argument of ``airflow users create`` it would stand in the list of
processes, and asking for it takes a terminal. Where there is an admin of that name already, nothing is changed.
"""

from __future__ import annotations

import os

from airflow.cli.cli_parser import get_parser

VARIABLE, SHORTEST = "AIRFLOW_ADMIN_PASSWORD", 12
USER = {"username": "admin", "role": "Admin", "firstname": "First", "lastname": "Admin", "email": "admin@localhost"}


def main() -> None:
    """
    Raises:
        SystemExit: there is no password, or it is too short.
    """
    password = os.environ.get(VARIABLE, "")
    if len(password) < SHORTEST:
        raise SystemExit(f"{VARIABLE} has {len(password)} characters; expected {SHORTEST} or more")
    options = [part for name, value in (USER | {"password": password}).items() for part in (f"--{name}", value)]
    arguments = get_parser().parse_args(["users", "create", *options])
    arguments.func(arguments)


if __name__ == "__main__":
    main()
