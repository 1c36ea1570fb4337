"""Every command that a document names is one that there is: it is parsed by the program that it is of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from tests.support.commands import ROOT, Command, commands

from sparsebench.bench.__main__ import app as bench
from sparsebench.cli import app
from sparsebench.localcloud.__main__ import localcloud

COMMANDS = commands()
OTHERS = {
    "cd", "cut", "date", "docker", "echo", "export", "for", "git", "helm", "install", "kubectl", "openssl", "packer",
    "pre-commit", "printf", "sed", "sha256sum", "tr",
}  # fmt: skip
"""Programs that are not ours, and whose arguments nobody has to look after."""

CLOUDFORMATION_DEPLOY = {"--stack-name", "--template-file", "--capabilities", "--parameter-overrides"}
"""What AWS's command line adds to its API."""

PARSE_AS_AIRFLOW = """
import json, sys
from airflow.cli.cli_parser import get_parser
for words in json.load(sys.stdin):
    print(words, file=sys.stderr)
    get_parser().parse_args(words)
"""


def of_programs(*programs: str) -> pytest.MarkDecorator:
    """A parameter for each command of these programs."""
    return pytest.mark.parametrize("command", [c for c in COMMANDS if c.program in programs], ids=str)


def parsed_by(cli: typer.Typer, arguments: tuple[str, ...], whole: bool) -> click.Context:
    """The context of the subcommand that these words are."""
    command: Any = typer.main.get_command(cli)
    context = click.Context(command, info_name="sparsebench")
    while isinstance(command, click.Group):
        assert arguments, "a subcommand is missing"
        assert arguments[0] in command.commands, f"{arguments[0]} is not one of {', '.join(command.commands)}"
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if whole:
        return command.make_context(command.name, list(arguments), parent=context)
    inner = click.Context(command, parent=context, **command.context_settings)
    command.make_parser(inner).parse_args([word for word in arguments if word != "…"])
    return inner


def test_every_document_is_read() -> None:
    read = {command.document for command in COMMANDS}
    assert {"README.md", "CONTRIBUTING.md", "aws.md", "on-call.md", "measuring.md", "pruning.md", "formats.md"} <= read
    assert len([command for command in COMMANDS if command.whole]) > 20


def test_of_every_program_somebody_looks() -> None:
    ours = {"make", "sparsebench", "airflow", "aws", "python"}
    others = {c.program for c in COMMANDS if not re.match(r"\.(venv|envs/\w+)/bin/", c.program)} - ours - OTHERS
    assert others == set()


@of_programs("make")
def test_a_target_of_make(command: Command) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    variables = re.findall(r"\b[A-Z_]+\b", (ROOT / "Makefile").read_text())
    for word in command.arguments[1:]:
        name, is_variable, _ = word.partition("=")
        assert name in (variables if is_variable else targets)


@of_programs("sparsebench")
def test_a_command_of_sparsebench(command: Command) -> None:
    context = parsed_by(app, command.arguments[1:], command.whole)
    if context.command.name == "bench":
        parsed_by(bench, ("model", *command.arguments[2:]), command.whole)


@pytest.mark.slow
def test_commands_of_airflow(tmp_path: Path) -> None:
    given = [c.arguments[1:] for c in COMMANDS if c.program == "airflow"]
    given += [c.arguments[2:] for c in COMMANDS if c.arguments[:2] == ("sparsebench", "airflow") and c.whole]
    assert given
    done = subprocess.run(
        [sys.executable, "-c", PARSE_AS_AIRFLOW],
        input=json.dumps([[word for word in arguments if word != "…"] for arguments in given if "…" not in arguments]),
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@of_programs(*{c.program for c in COMMANDS if re.search(r"python$", c.program)})
def test_a_module_with_its_options(command: Command) -> None:
    """Read by the module itself, in its environment: an unknown option is an error also before --help."""
    python = str(ROOT / ".venv/bin/python") if command.program == "python" else command.program
    assert command.arguments[1] == "-m"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/include:{ROOT}/benchmarks/twins"}
    if command.arguments[2].startswith("tests."):  # without options, and without help
        assert (ROOT / command.arguments[2].replace(".", "/")).with_suffix(".py").is_file()
        return
    done = subprocess.run(
        [python, *command.arguments[1:], "--help"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@of_programs(".venv/bin/pytest")
def test_paths_of_tests(command: Command) -> None:
    for word in command.arguments[1:]:
        if "/" in word:
            assert (ROOT / word).exists()


@of_programs("aws")
def test_an_operation_of_aws(command: Command) -> None:
    from botocore import xform_name
    from botocore.session import get_session

    _, service, operation, *rest = command.arguments
    options = {word for word in rest if word.startswith("--")} - {"--query", "--output"}
    if (service, operation) == ("cloudformation", "deploy"):
        assert options <= CLOUDFORMATION_DEPLOY
        return
    model = get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    members = shape.members if shape else ()
    assert options <= {f"--{xform_name(member, '-')}" for member in members}


def test_what_localcloud_takes_by_itself_it_takes_as_a_command_of_sparsebench() -> None:
    alone = typer.Typer()
    alone.command()(localcloud)
    given = typer.main.get_command(app).commands["localcloud"]  # type: ignore[attr-defined]
    completion = ("install_completion", "show_completion")
    alone_takes = [p.opts for p in typer.main.get_command(alone).params if p.name not in completion]
    assert [p.opts for p in given.params] == alone_takes
    assert ["--enforce-iam"] in alone_takes
