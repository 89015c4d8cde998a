// Sends a task for each way in which amqplib can send the number 8, or what is none.
const amqp = require("amqplib");

async function main() {
  const connection = await amqp.connect("amqp://guest:guest@127.0.0.1:5672");
  const channel = await connection.createConfirmChannel();
  const send = (name, headers, properties = {}) =>
    channel.publish("leveret.enqueue", "mail", Buffer.from(JSON.stringify(name)), {
      type: "test.attempts",
      messageId: name,
      contentType: "application/json",
      persistent: true,
      headers,
      ...properties,
    });
  const typed = (type, value) => ({ "!": type, value });
  const attempts = (value) => ({ "lv-max-attempts": value });
  for (const type of ["int8", "int16", "int32", "int64", "float", "double"]) {
    send(type, attempts(typed(type, 8)));
  }
  send("int", attempts(8));
  send("text", attempts("8"));
  send("null", attempts(null));
  send("wide", { ...attempts(8), "lv-not-before": 1790000000000, "lv-expires-at": 2 ** 52 });
  send("times", {
    ...attempts(8),
    "lv-not-before": typed("timestamp", 1767225600),
    "lv-expires-at": typed("timestamp", 4102444800),
  });
  send("tags", { ...attempts(8), "lv-tags": { text: "a", number: 7 } });
  send("properties", { ...attempts(8), other: [1, { a: Buffer.from([255]) }] }, { priority: 9, timestamp: 1790000000 });
  send("fraction", attempts(8.5));
  send("rounded", { ...attempts(8), "lv-not-before": typed("float", 1790000000000) });
  send("true", attempts(true));
  send("decimal", attempts(typed("decimal", { places: 0, digits: 8 })));
  send("negative", attempts(-8));
  await channel.waitForConfirms();
  await connection.close();
}

main();
