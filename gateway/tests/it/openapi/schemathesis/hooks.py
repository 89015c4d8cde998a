"""What schemathesis is told beside the document: how lines are written, and what a refusal is."""

import json
import re

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

DURATION = re.compile("([0-9]+(d|h|m|s|ms|us|ns))+")


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    return (json.dumps(value) + "\n").encode()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Waits for nothing: how long a wait is, and how slow a walk, does not matter here."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, str) and DURATION.fullmatch(wait):
        case.query["wait"] = "1ms"
    if isinstance(case.body, dict):
        rate = case.body.get("rate")
        if isinstance(rate, (int, float)) and not isinstance(rate, bool) and 0.001 <= rate <= 1e6:
            case.body["rate"] = 1e6


@schemathesis.check
def refusal(ctx, response, case):
    """What breaks the document's rules is refused, but for lines: each of them is answered by itself."""
    if case.media_type == "application/x-ndjson" or case.operation.label == "POST /v1/schedules/plan":
        return None
    return negative_data_rejection(ctx, response, case)
