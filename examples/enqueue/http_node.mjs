// Enqueues over HTTP with Node's own fetch, and waits for the end.

const gateway = "http://127.0.0.1:7878";

async function ask(path, options) {
  const answer = await fetch(gateway + path, options);
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const { id } = await ask("/v1/tasks", {
  method: "POST",
  // With a key it may be repeated: the same key is the same task.
  headers: { "content-type": "application/json", "idempotency-key": "welcome-3" },
  body: JSON.stringify({ kind: "email.welcome", args: { user_id: 3 } }),
});
const task = await ask(`/v1/tasks/${id}?wait=30s`);
console.log(task.state, task.result);
