"""Sends a task for each way in which aio-pika can send the number 8, or what is none."""

import asyncio
import datetime
import decimal
import json

import aio_pika

UTC = datetime.timezone.utc


async def main():
    connection = await aio_pika.connect_robust("amqp://guest:guest@127.0.0.1:5672")
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        door = await channel.get_exchange("leveret.enqueue")

        async def send(name, headers, **properties):
            message = aio_pika.Message(
                json.dumps(name).encode(),
                type="test.attempts",
                message_id=name,
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                headers=headers,
                **properties,
            )
            await door.publish(message, routing_key="mail")

        past = datetime.datetime(2026, 1, 1, tzinfo=UTC)
        later = datetime.datetime(2100, 1, 1, tzinfo=UTC)
        await send("int", {"lv-max-attempts": 8})
        await send("text", {"lv-max-attempts": "8"})
        await send("float", {"lv-max-attempts": 8.0})
        await send("null", {"lv-max-attempts": None})
        await send(
            "wide",
            {"lv-max-attempts": 8, "lv-not-before": 1_790_000_000_000, "lv-expires-at": 2**62},
        )
        await send("times", {"lv-max-attempts": 8, "lv-not-before": past, "lv-expires-at": later})
        await send("tags", {"lv-max-attempts": 8, "lv-tags": {"text": "a", "number": 7}})
        await send(
            "properties",
            {"lv-max-attempts": 8, "other": [1, {"a": bytearray(b"\xff")}]},
            priority=9,
            timestamp=past,
        )
        await send("fraction", {"lv-max-attempts": 8.5})
        await send("rounded", {"lv-max-attempts": 8, "lv-not-before": 1_790_000_000_000.0})
        await send("true", {"lv-max-attempts": True})
        await send("decimal", {"lv-max-attempts": decimal.Decimal("8")})
        await send("negative", {"lv-max-attempts": -8})


asyncio.run(main())
