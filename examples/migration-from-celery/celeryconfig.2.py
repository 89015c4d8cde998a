"""Step 2: everything goes to Leveret, and there is no Celery worker any more."""

from kombu import Exchange, Queue

broker_url = "amqp://guest:guest@127.0.0.1:5672"
result_backend = "redis://127.0.0.1:6379/0"

door = Exchange("leveret.enqueue", type="topic", no_declare=True)
task_queues = [Queue("shop", door, routing_key="shop", no_declare=True)]
task_default_queue = "shop"
task_create_missing_queues = False
broker_transport_options = {"confirm_publish": True}
