"""What deploys Airflow elsewhere fits what it is for: the official chart, MWAA, Astro."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.support.chart import schema

from sparsebench.settings import Settings

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "deploy" / "values.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_values_fit_the_charts_schema() -> None:
    jsonschema.validate(VALUES, schema())
    assert VALUES.keys() <= schema()["properties"].keys()


@pytest.mark.parametrize("wrong", [{"apiServer": {"serviceAcount": {}}}, {"uid": "x"}, {"executor": 1}])
def test_the_schema_refuses_what_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(VALUES | wrong, schema())


def test_the_values_are_for_the_image_that_the_dockerfile_makes() -> None:
    assert f"AIRFLOW_HOME={VALUES['airflowHome']} " in DOCKERFILE
    assert f"AIRFLOW__CORE__DAGS_FOLDER={VALUES['config']['core']['dags_folder']} " in DOCKERFILE
    assert f"--uid {VALUES['uid']} " in DOCKERFILE
    locked = (ROOT / "requirements.txt").read_text()
    assert f"\napache-airflow=={VALUES['airflowVersion']} " in locked
    for package in ("cncf-kubernetes", "fab"):
        assert f"\napache-airflow-providers-{package}==" in locked


def test_the_values_name_settings_that_there_are_and_hold_no_secret() -> None:
    names = [variable["name"] for variable in VALUES["env"] if variable["name"].startswith("SPARSEBENCH_")]
    assert {name.removeprefix("SPARSEBENCH_").lower() for name in names} <= Settings.model_fields.keys()
    text = (ROOT / "deploy" / "values.yaml").read_text()
    assert not re.search(r"^\s*(password|fernetKey|jwtSecret|apiSecretKey|connection):", text, re.MULTILINE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has Airflow and its providers, and nothing of this project."""
    folder = tmp_path_factory.mktemp("plain")
    python = folder / "env" / "bin" / "python"
    uv = str(ROOT / ".tools" / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    sync = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
    subprocess.run([*sync, ROOT / "requirements.txt"], check=True)
    return python


@pytest.mark.slow
def test_the_dags_parse_from_what_mwaa_and_astro_are_given_and_nothing_else(plain: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    subprocess.run(
        ["make", "--silent", "mwaa", "astro", f"BUILD={build}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    uv = [str(ROOT / ".tools" / "bin" / "uv"), "pip", "install", "--quiet", "--offline", "--python", str(plain)]

    unpacked = tmp_path / "plugins"
    with zipfile.ZipFile(build / "mwaa" / "plugins.zip") as archive:
        archive.extractall(unpacked)
    (requirement,) = (build / "mwaa" / "requirements.txt").read_text().split()
    wheel = unpacked / Path(requirement).relative_to("/usr/local/airflow/plugins")
    subprocess.run([*uv, wheel], check=True)
    parsed_from_mwaa = parsed(plain, build / "mwaa" / "dags", unpacked, tmp_path / "mwaa")

    subprocess.run([*uv[:2], "uninstall", "--quiet", "--python", str(plain), "sparsebench"], check=True)
    (wheel,) = (build / "astro" / "wheels").glob("*.whl")
    assert "COPY wheels /tmp/wheels" in (build / "astro" / "Dockerfile").read_text()
    subprocess.run([*uv, wheel], check=True)
    assert parsed(plain, build / "astro" / "dags", build / "astro" / "plugins", tmp_path / "astro") == parsed_from_mwaa
    assert not parsed_from_mwaa["errors"]
    assert set(parsed_from_mwaa["dags"]) == {path.stem for path in (ROOT / "dags").glob("*.py")}
    assert parsed_from_mwaa["plugins"] == ["sparsebench"]


PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import _get_plugins
bag = DagBag(sys.argv[1])
plugins = [plugin.name for plugin in _get_plugins()[0]]
print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors, "plugins": plugins}))
"""


def parsed(python: Path, dags: Path, plugins: Path, home: Path) -> dict[str, list[str]]:
    """What Airflow makes of these folders, with nothing of this checkout on its path."""
    home.mkdir()
    shutil.copytree(dags, home / "dags")
    variables = {
        "PATH": os.environ["PATH"],
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "SPARSEBENCH_STORE": (home / "store").as_uri(),
    }
    command = [str(python), "-c", PARSE, str(home / "dags")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))
