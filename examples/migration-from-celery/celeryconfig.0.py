"""Step 0, as it always was: Celery's workers perform everything."""

broker_url = "amqp://guest:guest@127.0.0.1:5672"
result_backend = "redis://127.0.0.1:6379/0"
