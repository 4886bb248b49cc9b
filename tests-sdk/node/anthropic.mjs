// The official @anthropic-ai/sdk, unmodified but for base URL and key, against a gateway whose provider is scripted.
//
// Usage: node anthropic.mjs, with what `lychgate clients anthropic` prints in the environment
//
// Every step asserts on what the SDK made of the answer; the first that fails ends the run with its trace.

import Anthropic from "@anthropic-ai/sdk";
import { VERSION } from "@anthropic-ai/sdk/version";
import assert from "node:assert/strict";
import { LONG, TRIES, all, raises, recorded, scenario, tried } from "./common.mjs";

const HELLO = [{ role: "user", content: "Hello from the SDK" }];
const ASKED = { model: "claude-sonnet-5", max_tokens: 100, messages: HELLO };
const WEATHER = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

async function blocking(client) {
  const message = await client.messages.create(ASKED);
  assert.match(message.id, /^msg_01/);
  assert.equal(message.stop_reason, "end_turn");
  assert.match(message.content[0].text, /Hello from the SDK/);
  assert(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  assert.match(message._request_id, /^req_/);

  const { usage } = await client.messages.create(ASKED, scenario("cached"));
  assert.deepEqual([usage.cache_read_input_tokens, usage.cache_creation_input_tokens], [2048, 768]);
  assert.equal(usage.cache_creation.ephemeral_1h_input_tokens, 256);
}

async function streaming(client) {
  const pieces = [];
  const stream = client.messages.stream(ASKED).on("text", (piece) => pieces.push(piece));
  const message = await stream.finalMessage();
  assert(pieces.length > 5);
  assert.equal(pieces.join(""), message.content[0].text);
  assert.match(message.content[0].text, /Hello from the SDK/);
  assert(message.stop_reason === "end_turn" && message.usage.output_tokens > 1);

  const kinds = (await all(await client.messages.create({ ...ASKED, stream: true }))).map((event) => event.type);
  assert.equal(kinds[0], "message_start");
  assert.equal(kinds.at(-1), "message_stop");

  for (const name of ["split", "crlf", "comments", "multiline", "slow", "silent"]) {
    const message = await client.messages.stream(ASKED, scenario(name)).finalMessage();
    assert.match(message.content[0].text, /Hello from the SDK/, name);
  }
}

async function thinking(client) {
  const asked = { ...ASKED, max_tokens: 2048, thinking: { type: "adaptive" } };
  const message = await client.messages.stream(asked).finalMessage();
  const [thought, text] = message.content;
  assert(thought.type === "thinking" && thought.thinking && thought.signature);
  assert.equal(text.type, "text");
  // The thought goes back in the next turn, signature and all.
  const turns = [...HELLO, { role: "assistant", content: message.content }, { role: "user", content: "And now?" }];
  const again = await client.messages.create({ ...asked, messages: turns });
  assert.match(again.content[1].text, /And now\?/);
}

async function tools(client) {
  const asked = { ...ASKED, tools: [WEATHER] };
  let turns = [{ role: "user", content: "What is the weather in Zürich?" }];
  let first = await client.messages.create({ ...asked, messages: turns });
  assert.equal(first.stop_reason, "tool_use");
  const call = first.content.find((block) => block.type === "tool_use");
  assert.deepEqual([call.name, call.input], ["get_weather", { city: "Zürich" }]);
  const result = { type: "tool_result", tool_use_id: call.id, content: "7 degrees, fog" };
  turns.push({ role: "assistant", content: first.content }, { role: "user", content: [result] });
  const second = await client.messages.create({ ...asked, messages: turns });
  assert.equal(second.stop_reason, "end_turn");
  assert.match(second.content[0].text, /7 degrees, fog/);

  turns = [{ role: "user", content: "And in two cities?" }];
  first = await client.messages.stream({ ...asked, messages: turns }, scenario("tools")).finalMessage();
  const calls = first.content.filter((block) => block.type === "tool_use");
  assert.deepEqual(calls.map((call) => call.input.city), ["Zürich", "Oslo"]);
  const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: `fine in ${call.input.city}` }));
  turns.push({ role: "assistant", content: first.content }, { role: "user", content: results });
  const last = await client.messages.stream({ ...asked, messages: turns }).finalMessage();
  assert.match(last.content[0].text, /fine in Oslo/);
}

async function beside(client) {
  const { model, messages } = ASKED;
  assert((await client.messages.countTokens({ model, messages })).input_tokens > 0);
  const models = await all(client.models.list());
  assert(models.some((model) => model.id.startsWith("claude-")));
  assert((await client.models.retrieve(models[0].id)).display_name);
}

async function errors(client) {
  const once = client.withOptions({ maxRetries: 0 });
  const ask = (name, more = {}) => once.messages.create({ ...ASKED, ...more }, name && scenario(name));

  const stranger = new Anthropic({ baseURL: client.baseURL, apiKey: "lgu_nobody", maxRetries: 0 });
  let error = await raises(Anthropic.AuthenticationError, () => stranger.messages.create(ASKED));
  assert.deepEqual([error.error.type, error.type], ["error", "authentication_error"]);
  error = await raises(Anthropic.NotFoundError, () => ask(null, { model: "no-such-model" }));
  assert.deepEqual(error.error.error, { type: "not_found_error", message: "model: no-such-model" });
  error = await raises(Anthropic.RateLimitError, () => ask("error-429"));
  assert.equal(error.headers.get("retry-after"), "1");
  await raises(Anthropic.BadRequestError, () => ask("error-400"));
  await raises(Anthropic.PermissionDeniedError, () => ask("error-403"));
  await raises(Anthropic.InternalServerError, () => ask("error-500"));
  error = await raises(Anthropic.OverloadedError, () => ask("error-529"));
  assert.deepEqual([error.status, error.type], [529, "overloaded_error"]);
  await raises(Anthropic.RateLimitError, () => ask("error-429", { stream: true }));
  error = await raises(Anthropic.APIError, () => once.messages.stream(ASKED, scenario("stream-error")).finalMessage());
  assert.equal(error.type, "overloaded_error");
}

async function timeOuts(client) {
  const impatient = client.withOptions({ maxRetries: 0, timeout: 1000 });
  const timeOut = async (stream) => {
    const model = `claude-timed-out-${stream}`;
    const ask = () => impatient.messages.create({ ...ASKED, model, stream }, scenario("late"));
    await raises(Anthropic.APIConnectionTimeoutError, ask);
    recorded(model, "client_aborted");
  };
  await Promise.all([false, true].map(timeOut));
}

async function retries(client) {
  const retry = async ([name, outcome], stream) => {
    const model = `claude-again-${name}-${stream}`;
    const patience = name === "late" ? { timeout: 1000 } : {};
    const asked = client.withOptions({ maxRetries: 1, ...patience });
    const options = scenario(`${name},text`);
    const message = stream
      ? await asked.messages.stream({ ...ASKED, model }, options).finalMessage()
      : await asked.messages.create({ ...ASKED, model }, options);
    assert.match(message.content[0].text, /Hello from the SDK/);
    recorded(model, outcome, "completed");
  };
  // No more tries than were asked for, and the last error is what is told.
  const inVain = async () => {
    const options = scenario("error-500,error-429,text");
    const twice = client.withOptions({ maxRetries: 1 });
    await raises(Anthropic.RateLimitError, () => twice.messages.create({ ...ASKED, model: "claude-in-vain" }, options));
    recorded("claude-in-vain", "failed", "failed");
  };
  // All at a time, since they mostly wait.
  await Promise.all([...TRIES.flatMap((first) => [retry(first, false), retry(first, true)]), inVain()]);
}

async function cancelled(client) {
  const messages = [{ role: "user", content: LONG }];
  const asked = (way) => {
    const model = `claude-left-by-${way}`;
    recorded(model, "client_aborted");
    return { ...ASKED, model, messages, max_tokens: 4096 };
  };

  // Out of the loop.
  for await (const event of await client.messages.create({ ...asked("break"), stream: true }, scenario("slow"))) {
    assert.equal(event.type, "message_start");
    break;
  }
  // By the stream itself.
  const stream = client.messages.stream(asked("abort"), scenario("slow"));
  stream.on("text", () => stream.abort());
  await raises(Anthropic.APIUserAbortError, () => stream.finalMessage());
  // By a signal of the caller's own.
  const leave = new AbortController();
  const signalled = client.messages.stream(asked("signal"), { ...scenario("slow"), signal: leave.signal });
  signalled.on("text", () => leave.abort());
  await raises(Anthropic.APIUserAbortError, () => signalled.finalMessage());
}

const { ANTHROPIC_BASE_URL: baseURL, ANTHROPIC_API_KEY: token } = process.env;
// As the SDK finds them in the environment.
await blocking(new Anthropic({ timeout: 20_000 }));
const client = new Anthropic({ baseURL, apiKey: token, timeout: 20_000 });
// A bearer token serves as well as an API key.
await blocking(new Anthropic({ baseURL, apiKey: null, authToken: token, timeout: 20_000 }));
await tried(client, {
  blocking,
  streaming,
  thinking,
  tools,
  beside,
  errors,
  timeouts: timeOuts,
  retries,
  cancelled,
});
console.log("@anthropic-ai/sdk", VERSION, "on node", process.version, "ok");
