// Enqueues over AMQP with amqplib.

import amqp from "amqplib";

const connection = await amqp.connect("amqp://guest:guest@127.0.0.1:5672");
const channel = await connection.createConfirmChannel();
channel.publish("leveret.enqueue", "mail", Buffer.from(JSON.stringify({ user_id: 5 })), {
  type: "email.welcome", // the kind
  messageId: "welcome-5", // the task's id: the same id again is the same task
  contentType: "application/json",
  persistent: true,
});
await channel.waitForConfirms(); // rejects unless the broker has the task safe
await connection.close();
console.log("welcome-5 is safe");
