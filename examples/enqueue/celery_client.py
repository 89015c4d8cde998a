"""Enqueues with a stock Celery client, which gets the result, too."""

from celery import Celery
from kombu import Exchange, Queue

app = Celery(
    "enqueue",
    broker="amqp://guest:guest@127.0.0.1:5672",
    backend="redis://127.0.0.1:6379/0",  # the Redis of store.url
)
# docs/celery.md says what each of these is for.
door = Exchange("leveret.enqueue", type="topic", no_declare=True)
app.conf.update(
    task_queues=[Queue("mail", door, routing_key="mail", no_declare=True)],
    task_default_queue="mail",
    task_create_missing_queues=False,
    broker_transport_options={"confirm_publish": True},
)

sent = app.send_task("email.welcome", kwargs={"user_id": 6}, task_id="welcome-6")
print(sent.get(timeout=60))
