"""Sends a task for each way in which pika can send the number 8, or what is none."""

import datetime
import decimal
import json

import pika

connection = pika.BlockingConnection(pika.URLParameters("amqp://guest:guest@127.0.0.1:5672"))
channel = connection.channel()
channel.confirm_delivery()


def send(name, headers, **properties):
    channel.basic_publish(
        exchange="leveret.enqueue",
        routing_key="mail",
        body=json.dumps(name),
        properties=pika.BasicProperties(
            type="test.attempts",
            message_id=name,
            content_type="application/json",
            delivery_mode=2,
            headers=headers,
            **properties,
        ),
    )


past = datetime.datetime(2026, 1, 1)
later = datetime.datetime(2100, 1, 1)
send("int", {"lv-max-attempts": 8})
send("text", {"lv-max-attempts": "8"})
send("null", {"lv-max-attempts": None})
send("wide", {"lv-max-attempts": 8, "lv-not-before": 1_790_000_000_000, "lv-expires-at": 2**62})
send("times", {"lv-max-attempts": 8, "lv-not-before": past, "lv-expires-at": later})
send("tags", {"lv-max-attempts": 8, "lv-tags": {"text": "a", "number": 7}})
send("properties", {"lv-max-attempts": 8, "other": [1, {"a": b"\xff"}]}, priority=9, timestamp=1_790_000_000)
send("true", {"lv-max-attempts": True})
send("decimal", {"lv-max-attempts": decimal.Decimal("8")})
send("negative", {"lv-max-attempts": -8})
try:
    send("float", {"lv-max-attempts": 8.0})
except pika.exceptions.UnsupportedAMQPFieldException:
    print("pika sends no floats")
connection.close()
