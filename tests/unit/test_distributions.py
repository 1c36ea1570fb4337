"""Two distributions: what runs on an instance, whose wheel names a night, and what conducts, which carries it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from sparsebench.fleet import payload

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout's sources, to be edited."""
    copy = tmp_path / "checkout"
    for name in ("include", "plugins"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, copy)
    return copy


def _payload(checkout: Path) -> bytes:
    """Of this checkout, by a process that knows no other."""
    script = "import sys; from sparsebench.fleet import payload; sys.stdout.buffer.write(payload.wheel())"
    environment = os.environ | {"PYTHONPATH": str(checkout / "include"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    "edited",
    ["report/page.css", "report/figures.py", "localcloud/server.py", "fleet/plan.py", "cli.py", "locks/bench.txt"],
)
def test_editing_what_conducts_leaves_the_payload_as_it_is(checkout: Path, edited: str) -> None:
    with (checkout / "include" / "sparsebench" / edited).open("a") as file:
        file.write("\n")
    assert _payload(checkout) == payload.wheel()


@pytest.mark.parametrize("edited", ["bench/runner.py", "statistics/design.py", "catalog/protocols.yaml"])
def test_editing_what_runs_on_an_instance_makes_another_payload(checkout: Path, edited: str) -> None:
    with (checkout / "include" / "sparsebench" / edited).open("a") as file:
        file.write("\n")
    assert _payload(checkout) != payload.wheel()


def test_the_wheel_of_what_conducts_carries_that_of_what_runs(checkout: Path, tmp_path: Path) -> None:
    built = tmp_path / "built"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built], cwd=checkout, check=True)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("sparsebench/fleet/runner.whl") == payload.wheel()
        assert "sparsebench_airflow/plugin.py" in archive.namelist()


def test_the_border_is_drawn_at_one_place() -> None:
    """What the linter holds to the border is what the wheel is made of."""
    runner = tomllib.loads((ROOT / "include/pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    packed = {path.removesuffix(".py").replace("/", ".") for path in runner["only-include"]}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    border = contracts[0]
    assert set(border["source_modules"]) == packed - {"sparsebench.__init__"}
    everything = {
        f"sparsebench.{path.stem}"
        for path in (ROOT / "include/sparsebench").iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert everything - {"sparsebench.locks"} == {*border["source_modules"], *border["forbidden_modules"]}


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("bench/host.py", "from sparsebench.fleet import payload", "What runs on an instance"),
        ("statistics/design.py", "from sparsebench.bench import runner", "The direction of imports"),
        ("fleet/plan.py", "import airflow", "The domain knows nothing of Airflow"),
    ],
)
def test_an_import_against_the_direction_fails_lint(checkout: Path, module: str, line: str, contract: str) -> None:
    with (checkout / "include" / "sparsebench" / module).open("a") as file:
        file.write(f"\n\ndef later() -> None:\n    {line}\n")
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "include")},
        capture_output=True,
        text=True,
    )
    assert lint.returncode == 1
    assert f"{contract}" in lint.stdout.partition("Broken contracts")[2]


def test_lint_holds_the_border() -> None:
    """`make lint` runs what the test above tries."""
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert "lint-imports" in recipe
