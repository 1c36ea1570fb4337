"""IAM's SimulatePrincipalPolicy, which moto lacks: what a user or a role may do, without doing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from werkzeug import Response

from sparsebench.localcloud.iam.policy import Access, refusal
from sparsebench.localcloud.iam.principals import statements_of

Parameters = Mapping[str, str]

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def simulate(parameters: Parameters) -> Response:
    """One result an action and resource."""
    statements = statements_of(parameters["PolicySourceArn"])
    if statements is None:
        error = f"<Code>NoSuchEntity</Code><Message>{escape(parameters['PolicySourceArn'])} is not known</Message>"
        return Response(f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", 404, content_type="text/xml")
    context = {
        parameters[f"{entry}.ContextKeyName"].lower(): parameters.get(f"{entry}.ContextKeyValues.member.1", "")
        for entry in dict.fromkeys(re.findall(r"ContextEntries\.member\.\d+", "\n".join(parameters)))
    }
    results = []
    for action in _members(parameters, "ActionNames"):
        for resource in _members(parameters, "ResourceArns") or ["*"]:
            access = replace(Access(action, resource), context=context)
            decision = "implicitDeny" if refusal(statements, access) else "allowed"
            results.append(
                f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
                f"</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
            )
    content = f"<EvaluationResults>{''.join(results)}</EvaluationResults><IsTruncated>false</IsTruncated>"
    body = f"<SimulatePrincipalPolicyResult>{content}</SimulatePrincipalPolicyResult>"
    answer = f'<SimulatePrincipalPolicyResponse xmlns="{_NAMESPACE}">{body}</SimulatePrincipalPolicyResponse>'
    return Response(answer, content_type="text/xml")


def _members(parameters: Parameters, name: str) -> list[str]:
    return [value for key, value in parameters.items() if re.fullmatch(rf"{name}\.member\.\d+", key)]
