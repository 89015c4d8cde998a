"""What the shop's web server does. None of this file changes on the way."""

from shop import receipt, total

sent = total.delay([1000, 2000])
cents = sent.get(timeout=60)
print("total", cents, sent.id)

sent = receipt.apply_async(kwargs={"order": 7, "cents": cents}, countdown=1)
print("receipt", sent.get(timeout=60), sent.id)
