"""Enqueues over AMQP with pika."""

import json

import pika

connection = pika.BlockingConnection(pika.URLParameters("amqp://guest:guest@127.0.0.1:5672"))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish raises unless the broker has the task safe
channel.basic_publish(
    exchange="leveret.enqueue",
    routing_key="mail",  # the queue; "mail.high" is its class high
    body=json.dumps({"user_id": 4}),  # the args themselves
    properties=pika.BasicProperties(
        type="email.welcome",  # the kind
        message_id="welcome-4",  # the task's id: the same id again is the same task
        content_type="application/json",
        delivery_mode=2,
    ),
)
connection.close()
print("welcome-4 is safe")
