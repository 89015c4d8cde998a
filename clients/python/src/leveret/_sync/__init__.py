"""The synchronous client, made of the asynchronous one by `scripts/unasync.py`."""
