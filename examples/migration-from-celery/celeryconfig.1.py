"""Step 1: shop.total goes to Leveret, shop.receipt stays with Celery's workers."""

from kombu import Exchange, Queue

broker_url = "amqp://guest:guest@127.0.0.1:5672"
result_backend = "redis://127.0.0.1:6379/0"

# Leveret's door and one lane of it; docs/celery.md says what each word is for.
door = Exchange("leveret.enqueue", type="topic", no_declare=True)
task_queues = [Queue("celery"), Queue("shop", door, routing_key="shop", no_declare=True)]
task_create_missing_queues = False
broker_transport_options = {"confirm_publish": True}

task_routes = {"shop.total": "shop"}
