"""A shop that takes orders, and has each confirmed by a task: shop.py init | order NUMBER CENTS

Order and task are rows of one transaction: both are there, or neither is.
"""

import json
import sqlite3
import sys


def init():
    with sqlite3.connect("shop.db") as shop:
        for schema in ("shop.sql", "outbox.sql"):
            with open(schema) as text:
                shop.executescript(text.read())


def order(number, cents):
    task = json.dumps({"order": number}), json.dumps({"id": f"confirm-{number}", "max_attempts": 5})
    with sqlite3.connect("shop.db") as shop:  # commits at its end, or rolls back where something is raised
        shop.execute("INSERT INTO leveret_outbox (kind, args, options) VALUES ('order.confirm', ?, ?)", task)
        shop.execute("INSERT INTO orders (number, cents) VALUES (?, ?)", (number, cents))
    # From here on the task cannot get lost: nobody needs to be asked whether it was accepted.
    print(f"order {number} is taken")


match sys.argv[1:]:
    case ["init"]:
        init()
    case ["order", number, cents]:
        order(int(number), int(cents))
    case _:
        raise SystemExit(__doc__)
