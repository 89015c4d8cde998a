# Enqueues with curl and waits for the end.
set -eu
curl -sS --fail-with-body http://127.0.0.1:7878/v1/tasks \
    -H 'content-type: application/json' -H 'idempotency-key: welcome-1' \
    -d '{"kind": "email.welcome", "args": {"user_id": 1}}' >answer.json
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' answer.json)
curl -sS --fail-with-body "http://127.0.0.1:7878/v1/tasks/$id?wait=30s"
