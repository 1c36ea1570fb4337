"""IAM's SimulatePrincipalPolicy, which moto lacks: what a user or a role may do, without doing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from werkzeug import Response

from sparsebench.localcloud.iam.policy import Access, refusal
from sparsebench.localcloud.iam.principals import statements_of

Form = Mapping[str, str]

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def simulate(form: Form) -> Response:
    """One result an action and resource."""
    statements = statements_of(form["PolicySourceArn"])
    if statements is None:
        error = f"<Code>NoSuchEntity</Code><Message>{escape(form['PolicySourceArn'])} is not known</Message>"
        return Response(f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", 404, content_type="text/xml")
    context = {
        form[f"{entry}.ContextKeyName"].lower(): form.get(f"{entry}.ContextKeyValues.member.1", "")
        for entry in dict.fromkeys(re.findall(r"ContextEntries\.member\.\d+", "\n".join(form)))
    }
    results = []
    for action in _members(form, "ActionNames"):
        for resource in _members(form, "ResourceArns") or ["*"]:
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


def _members(form: Form, name: str) -> list[str]:
    return [value for key, value in form.items() if re.fullmatch(rf"{name}\.member\.\d+", key)]
