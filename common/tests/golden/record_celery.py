"""Records what a real Celery client sends as the `in` of golden files.

    python record_celery.py amqp://guest:guest@127.0.0.1:5672/empty-vhost

Needs celery. The `out` is written by the test: LEVERET_TEST_BLESS=1 cargo test -p
leveret-common --test it envelope
"""

import base64
import datetime
import decimal
import json
import pathlib
import sys
import uuid

from celery import Celery, chain, chord, group
from kombu import Connection, Exchange, Queue

BROKER = sys.argv[1]
FOLDER = pathlib.Path(__file__).parent / "envelope"
UTC = datetime.timezone.utc


def client(**settings):
    door = Exchange("leveret.enqueue", type="topic", no_declare=True)
    app = Celery("shop", broker=BROKER, backend="disabled://")
    app.conf.update(
        task_queues=[Queue("mail", door, routing_key="mail", no_declare=True)],
        task_default_queue="mail",
        task_create_missing_queues=False,
        **settings,
    )

    @app.task(name="shop.add")
    def add(x, y):
        """Only its name counts."""

    return app, add


# Read with Celery's own library: pika takes a double for an integer.
channel = Connection(BROKER).channel()
channel.exchange_declare("leveret.enqueue", "direct", auto_delete=False)
channel.queue_declare("recorded", auto_delete=False)
channel.queue_bind("recorded", "leveret.enqueue", "mail")


def value(read):
    if read is None:
        return "null"
    if isinstance(read, bool):
        return {"bool": read}
    if isinstance(read, int):
        return {"int": read}
    if isinstance(read, float):
        return {"float": str(read)}
    if isinstance(read, str):
        return {"text": read}
    if isinstance(read, list):
        return {"list": [value(one) for one in read]}
    return {"table": {name: value(one) for name, one in read.items()}}


def record(name, change=lambda wire: None):
    while (message := channel.basic_get("recorded", no_ack=True)) is None:
        pass
    names = ("content_type", "content_encoding", "correlation_id", "reply_to", "priority")
    wire = {name: message.properties[name] for name in names if name in message.properties}
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    try:
        wire["body"] = body.decode()
    except UnicodeDecodeError:
        wire["body"] = list(body)
    wire["headers"] = {name: value(read) for name, read in message.headers.items()}
    if "origin" in wire["headers"]:
        wire["headers"]["origin"] = {"text": "gen7@web-1"}
    change(wire)
    (FOLDER / f"celery_{name}.json").write_text(json.dumps({"in": wire}, indent=2) + "\n")
    channel.queue_purge("recorded")


app, add = client()
add.delay(2, 3)
record("2_positional_args_are_a_list")
add.apply_async(
    kwargs={"x": 2, "y": 3},
    eta=datetime.datetime(2031, 1, 1, 8, 30, 0, 1, tzinfo=UTC),
    expires=datetime.datetime(2031, 1, 2, tzinfo=UTC),
    priority=7,
    time_limit=30,
    soft_time_limit=20.5,
)
record("2_keyword_args_with_times_limits_and_priority")
add.apply_async((2,), {"y": 3}, headers={"lv-tags": {"tenant": "42"}, "lv-max-attempts": 4})
record("2_mixed_args_and_headers_of_ours")
odd = {"d": decimal.Decimal("1.5"), "t": datetime.datetime(2031, 1, 1), "u": uuid.UUID(int=5), "b": b"\xff"}
app.send_task("shop.add", args=[odd], task_id="order 7")
record("2_an_own_id_and_what_kombu_makes_of_python_types")
group(add.s(1, 2), add.s(3, 4)).apply_async()
record("2_a_member_of_a_group_is_a_task")
add.apply_async((1, 2), retries=3, ignore_result=True, parent_id=str(uuid.UUID(int=6)), root_id=str(uuid.UUID(int=7)))
record("2_a_repeated_task_without_a_result")
add.delay(2, 3)


def in_base64(wire):
    wire["body"] = base64.b64encode(wire["body"].encode()).decode()
    wire["headers"]["body_encoding"] = {"text": "base64"}


record("2_a_base64_body_is_read", in_base64)
chain(add.s(1, 2), add.s(4)).apply_async()
record("2_a_chain_is_refused")
add.apply_async((1, 2), chord=add.si(7, 1))
record("2_a_chord_is_refused")
add.apply_async((1, 2), link=add.s(9), link_error=add.s(8))
record("2_links_are_refused")
add.apply_async((1, 2), serializer="pickle")
record("2_pickle_is_refused")
add.apply_async((1, 2), compression="gzip")
record("2_compression_is_refused")
app.send_task("shop:add", args=[1])
record("2_a_task_name_that_is_no_kind_is_refused")

app, add = client(task_protocol=1)
add.apply_async((2, 3), eta=datetime.datetime(2031, 1, 1, tzinfo=UTC), expires=3600)
record("1_a_task_with_times")
add.apply_async((2, 3), link=add.s(9))
record("1_links_are_refused")
add.apply_async((2, 3), serializer="pickle")
record("1_pickle_is_refused")
