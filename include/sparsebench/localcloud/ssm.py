"""The part of the SSM API that moto answers without running anything: commands, and the agents that run them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from werkzeug import Response

from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.commands import Command, Commands, Invocation
from sparsebench.localcloud.instance import Instance

_DOCUMENT = "AWS-RunShellScript"
_PLUGIN = "aws:runShellScript"
_PLUGIN_OUTPUT_CHARACTERS = 2_500
_MAX_EXECUTION_S = 172_800
_MAX_IDS, _MAX_TARGETS, _MAX_COMMENT, _MAX_PARAMETERS_BYTES = 50, 5, 100, 100_000

Body = dict[str, Any]


class SsmError(Exception):
    """An error of the API: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def error_response(code: str, message: str, status: int = 400) -> Response:
    body = json.dumps({"__type": code, "message": message})
    return Response(body, status, {"x-amzn-ErrorType": code}, content_type="application/x-amz-json-1.1")


class Ssm:
    """``call`` answers the actions in ``actions``; all others are moto's."""

    def __init__(self, cloud: Cloud, commands: Commands) -> None:
        self._cloud = cloud
        self._commands = commands
        self.actions: dict[str, Callable[[Body, str], Body]] = {
            "DescribeInstanceInformation": self._describe_instance_information,
            "SendCommand": self._send_command,
            "CancelCommand": self._cancel_command,
            "GetCommandInvocation": self._get_command_invocation,
            "ListCommands": self._list_commands,
            "ListCommandInvocations": self._list_command_invocations,
        }

    def call(self, action: str, body: Body, region: str) -> Response:
        try:
            answer = self.actions[action](body, region)
        except SsmError as error:
            return error_response(error.code, str(error))
        return Response(json.dumps(answer), content_type="application/x-amz-json-1.1")

    # ---------------------------------------------------------------------------------------- agents

    def _describe_instance_information(self, body: Body, region: str) -> Body:
        wanted: dict[str, list[str]] = {item["Key"]: item["Values"] for item in body.get("Filters", [])}
        wanted |= {item["key"]: item["valueSet"] for item in body.get("InstanceInformationFilterList", [])}
        if unknown := wanted.keys() - {"InstanceIds", "PingStatus"}:
            raise SsmError("InvalidInstanceInformationFilterValue", f"{sorted(unknown)[0]}: not a filter known here")
        matching = [
            _information(instance)
            for instance in self._cloud.instances(region)
            if instance.agent
            and instance.id in wanted.get("InstanceIds", [instance.id])
            and instance.agent in wanted.get("PingStatus", [instance.agent])
        ]
        return _page(matching, "InstanceInformationList", body)

    def _targets(self, body: Body, region: str) -> list[Instance]:
        """The instances that a command is sent to.

        Raises:
            SsmError: InvalidInstanceId, for one that is not there or whose agent is not online.
        """
        online = {instance.id: instance for instance in self._cloud.instances(region) if instance.agent == "Online"}
        ids = list(body.get("InstanceIds", []))
        targets = {target["Key"]: target["Values"] for target in body.get("Targets", [])}
        if bool(ids) == bool(targets):
            raise SsmError("InvalidParameters", "either InstanceIds or Targets is needed")
        ids += targets.pop("InstanceIds", [])
        if unknown := next((key for key in targets if not key.startswith("tag:")), None):
            raise SsmError("InvalidParameters", f"Targets: {unknown!r} is not known; InstanceIds and tag:<name> are")
        if targets:
            named = {key.removeprefix("tag:"): values for key, values in targets.items()}
            ids += [
                instance.id
                for instance in online.values()
                if all(_tags(instance).get(name) in values for name, values in named.items())
            ]
        if missing := [instance_id for instance_id in ids if instance_id not in online]:
            raise SsmError("InvalidInstanceId", f"Instances {missing} not in a valid state for account")
        return [online[instance_id] for instance_id in dict.fromkeys(ids)]

    # -------------------------------------------------------------------------------------- commands

    def _send_command(self, body: Body, region: str) -> Body:
        _check_limits(body)
        if body["DocumentName"] != _DOCUMENT:
            raise SsmError("InvalidDocument", f"document {body['DocumentName']!r} is not known; {_DOCUMENT} is")
        parameters: dict[str, list[str]] = body.get("Parameters", {})
        if unknown := parameters.keys() - {"commands", "workingDirectory", "executionTimeout"}:
            raise SsmError("InvalidParameters", f"{sorted(unknown)[0]} is not a parameter of {_DOCUMENT}")
        if not parameters.get("commands"):
            raise SsmError("InvalidParameters", f"commands: {_DOCUMENT} needs at least one")
        command = Command(
            script="\n".join(parameters["commands"]) + "\n",
            folder=next(iter(parameters.get("workingDirectory", [])), None) or None,
            execution_timeout_s=_execution_timeout(parameters),
            delivery_timeout_s=body.get("TimeoutSeconds", 3600),
            document=_DOCUMENT,
            parameters=parameters,
            comment=body.get("Comment", ""),
            region=region,
        )
        instances = self._targets(body, region)
        command.max_concurrency = _share(body.get("MaxConcurrency", "50"), "MaxConcurrency", len(instances), least=1)
        command.max_errors = _share(body.get("MaxErrors", "0"), "MaxErrors", len(instances), least=0)
        self._commands.send(command, instances)
        return {"Command": _command(command)}

    def _cancel_command(self, body: Body, region: str) -> Body:
        ids = body.get("InstanceIds", [])
        for invocation in self._known(body["CommandId"], region).invocations:
            if not ids or invocation.instance.id in ids:
                invocation.cancel()
        return {}

    def _known(self, command_id: str, region: str) -> Command:
        command = self._commands.get(command_id, region)
        if command is None:
            raise SsmError("InvalidCommandId", f"command {command_id} is not known")
        return command

    def _get_command_invocation(self, body: Body, region: str) -> Body:
        command = self._commands.get(body["CommandId"], region)
        for invocation in command.invocations if command else []:
            if invocation.instance.id == body["InstanceId"] and invocation.is_shown:
                return _invocation_with_output(invocation)
        raise SsmError("InvocationDoesNotExist", f"{body['CommandId']} was not sent to {body['InstanceId']}")

    def _selected(self, body: Body, region: str) -> list[Command]:
        if "CommandId" in body:
            return [self._known(body["CommandId"], region)]
        return self._commands.all(region)[::-1]

    def _list_commands(self, body: Body, region: str) -> Body:
        statuses = _status_filter(body)
        matching = [
            _command(command)
            for command in self._selected(body, region)
            if body.get("InstanceId") in (None, *(invocation.instance.id for invocation in command.invocations))
        ]
        return _page([item for item in matching if not statuses or item["Status"] in statuses], "Commands", body)

    def _list_command_invocations(self, body: Body, region: str) -> Body:
        statuses = _status_filter(body)
        matching = [
            _invocation(invocation, bool(body.get("Details")))
            for command in self._selected(body, region)
            for invocation in command.invocations
            if body.get("InstanceId") in (None, invocation.instance.id)
        ]
        return _page(
            [item for item in matching if not statuses or item["Status"] in statuses], "CommandInvocations", body
        )


def _check_limits(body: Body) -> None:
    """
    Raises:
        SsmError: ValidationException, MaxDocumentSizeExceeded
    """
    limits = {"InstanceIds": _MAX_IDS, "Targets": _MAX_TARGETS, "Comment": _MAX_COMMENT}
    for name, most in limits.items():
        if len(body.get(name, "")) > most:
            message = f"1 validation error detected: {name}: Member must have length less than or equal to {most}"
            raise SsmError("ValidationException", message)
    if len(json.dumps(body.get("Parameters", {})).encode()) > _MAX_PARAMETERS_BYTES:
        raise SsmError("MaxDocumentSizeExceeded", f"the parameters are larger than {_MAX_PARAMETERS_BYTES} bytes")


def _share(text: str, name: str, whole: int, least: int) -> int:
    """The share of a number of instances: a number, or a percentage of all of them."""
    number, percent = text.removesuffix("%"), text.endswith("%")
    if not number.isdecimal() or (percent and int(number) > 100) or (not percent and int(number) < least):
        raise SsmError("InvalidParameters", f"{name}: {text!r} is neither a number from {least} nor a percentage")
    return max(least, whole * int(number) // 100) if percent else int(number)


def _execution_timeout(parameters: dict[str, list[str]]) -> int:
    text = next(iter(parameters.get("executionTimeout", [])), "3600")
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_EXECUTION_S:
        raise SsmError(
            "InvalidParameters", f"executionTimeout: {text!r} is not a number of seconds, 1 to {_MAX_EXECUTION_S}"
        )
    return int(text)


def _status_filter(body: Body) -> list[str]:
    filters = {item["key"]: item["value"] for item in body.get("Filters", [])}
    if unknown := filters.keys() - {"Status"}:
        raise SsmError("InvalidFilterKey", f"{sorted(unknown)[0]}: not a filter known here; Status is")
    return list(filters.values())


def _page(items: list[Body], key: str, body: Body) -> Body:
    start = int(body.get("NextToken", 0))
    end = start + body.get("MaxResults", 50)
    return {key: items[start:end], **({"NextToken": str(end)} if end < len(items) else {})}


def _tags(instance: Instance) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in instance.record.get_tags()}


def _information(instance: Instance) -> Body:
    return {
        "InstanceId": instance.id,
        "PingStatus": instance.agent,
        "LastPingDateTime": datetime.now(UTC).timestamp(),
        "AgentVersion": "localcloud",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "localcloud",
        "ResourceType": "EC2Instance",
        "IPAddress": instance.record.private_ip,
        "ComputerName": instance.record.private_dns_name,
    }


def _command(command: Command) -> Body:
    reports = [invocation.report for invocation in command.invocations]
    status = command.status
    return {
        "CommandId": command.id,
        "DocumentName": command.document,
        "Comment": command.comment,
        "Parameters": command.parameters,
        "InstanceIds": [invocation.instance.id for invocation in command.invocations],
        "RequestedDateTime": command.requested_at.timestamp(),
        "Status": status,
        "StatusDetails": status if reports else "NoInstancesInTag",
        "MaxConcurrency": str(command.max_concurrency),
        "MaxErrors": str(command.max_errors),
        "TargetCount": len(reports),
        "CompletedCount": sum(report.over for report in reports),
        "ErrorCount": sum(report.status in ("Failed", "TimedOut") for report in reports),
        "TimeoutSeconds": command.delivery_timeout_s,
    }


def _invocation(invocation: Invocation, details: bool) -> Body:
    command, report = invocation.command, invocation.report
    errors = f"\n----------ERROR-------\n{report.stderr}" if report.stderr else ""
    plugin = {
        "Name": _PLUGIN,
        "Status": report.status,
        "StatusDetails": report.details,
        "ResponseCode": report.response_code,
        "Output": (report.stdout + errors)[:_PLUGIN_OUTPUT_CHARACTERS],
        **({"ResponseStartDateTime": report.started_at.timestamp()} if report.started_at else {}),
        **({"ResponseFinishDateTime": report.ended_at.timestamp()} if report.ended_at else {}),
    }
    return {
        "CommandId": command.id,
        "InstanceId": invocation.instance.id,
        "InstanceName": invocation.instance.record.private_dns_name,
        "Comment": command.comment,
        "DocumentName": command.document,
        "RequestedDateTime": command.requested_at.timestamp(),
        "Status": report.status,
        "StatusDetails": report.details,
        "CommandPlugins": [plugin] if details else [],
    }


def _invocation_with_output(invocation: Invocation) -> Body:
    report = invocation.report
    started, ended = report.started_at, report.ended_at
    return {
        "CommandId": invocation.command.id,
        "InstanceId": invocation.instance.id,
        "Comment": invocation.command.comment,
        "DocumentName": invocation.command.document,
        "PluginName": _PLUGIN,
        "ResponseCode": report.response_code,
        "ExecutionStartDateTime": _text(started),
        "ExecutionElapsedTime": f"PT{(ended - started).total_seconds():.3f}S" if started and ended else "",
        "ExecutionEndDateTime": _text(ended),
        "Status": report.status,
        "StatusDetails": report.details,
        "StandardOutputContent": report.stdout,
        "StandardErrorContent": report.stderr,
    }


def _text(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""
