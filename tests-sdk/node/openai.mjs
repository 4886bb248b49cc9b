// The official openai SDK, unmodified but for base URL and key, against a gateway whose provider is scripted.
//
// Usage: node openai.mjs [azure], with what `lychgate clients openai` prints in the environment, or `lychgate clients azure-openai`
//
// Every step asserts on what the SDK made of the answer; the first that fails ends the run with its trace.

import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { VERSION } from "openai/version";
import { LONG, TRIES, all, raises, recorded, scenario, tried } from "./common.mjs";

const AZURE = process.argv[2] === "azure";
// The version too comes from the environment, and not as `apiVersion`, which the SDK's own `withOptions` forgets.
const [BASE_URL, TOKEN] = (AZURE ? ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"] : ["OPENAI_BASE_URL", "OPENAI_API_KEY"]).map(
  (name) => process.env[name],
);
const MODEL = "gpt-5.4-mini";
const HELLO = [{ role: "user", content: "Hello from the SDK" }];
const CHAT = { model: MODEL, messages: HELLO };
const RESPONSE = { model: MODEL, input: "Hello from the SDK" };
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const CHAT_TOOL = { type: "function", function: { name: "get_weather", parameters: PARAMETERS, strict: true } };
const TOOL = { type: "function", name: "get_weather", parameters: PARAMETERS, strict: true };

/** A client of the SDK. */
function connect(apiKey, more) {
  if (AZURE) return new AzureOpenAI({ endpoint: BASE_URL, apiKey, ...more });
  return new OpenAI({ baseURL: BASE_URL, apiKey, ...more });
}

/** The chunks without Azure's first one, which is about the prompt. */
function ofTheAnswer(chunks) {
  if (!AZURE) return chunks;
  const [first, ...rest] = chunks;
  assert(first.choices.length === 0 && first.model === "" && first.prompt_filter_results.length === 1, JSON.stringify(first));
  return rest;
}

async function chatBlocking(client) {
  const completion = await client.chat.completions.create(CHAT);
  assert.match(completion.id, /^chatcmpl-/);
  assert.match(completion._request_id, /^req_/);
  const [choice] = completion.choices;
  assert.equal(choice.finish_reason, "stop");
  assert.match(choice.message.content, /Hello from the SDK/);
  const { usage } = completion;
  assert(usage.total_tokens > 0 && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens);
  const cached = await client.chat.completions.create(CHAT, scenario("cached"));
  assert.equal(cached.usage.prompt_tokens_details.cached_tokens, 2048);
}

async function chatStreaming(client) {
  let chunks = ofTheAnswer(await all(await client.chat.completions.create({ ...CHAT, stream: true })));
  assert.match(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), /Hello from the SDK/);
  // Nobody asked for usage, so there is no chunk without a choice.
  assert(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));

  const asked = { ...CHAT, stream: true, stream_options: { include_usage: true } };
  chunks = ofTheAnswer(await all(await client.chat.completions.create(asked)));
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert(last.usage.total_tokens > 0);
  assert(chunks.every((chunk) => !chunk.usage));

  for (const name of ["text", "split", "crlf", "multiline", "slow", "silent"]) {
    const final = await client.chat.completions.stream(CHAT, scenario(name)).finalChatCompletion();
    assert.match(final.choices[0].message.content, /Hello from the SDK/, name);
  }
}

async function chatTools(client) {
  const asked = { model: MODEL, tools: [CHAT_TOOL] };
  let turns = [{ role: "user", content: "What is the weather in Zürich?" }];
  const [first] = (await client.chat.completions.create({ ...asked, messages: turns })).choices;
  assert.equal(first.finish_reason, "tool_calls");
  const [call] = first.message.tool_calls;
  assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Zürich" }]);
  turns.push(first.message, { role: "tool", tool_call_id: call.id, content: "7 degrees, fog" });
  const [second] = (await client.chat.completions.create({ ...asked, messages: turns })).choices;
  assert.match(second.message.content, /7 degrees, fog/);

  turns = [{ role: "user", content: "And in two cities?" }];
  const message = await client.chat.completions.stream({ ...asked, messages: turns }, scenario("tools")).finalMessage();
  const calls = message.tool_calls;
  assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments).city), ["Zürich", "Oslo"]);
  turns.push(message, ...calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: `fine: ${call.id}` })));
  const last = await client.chat.completions.stream({ ...asked, messages: turns }).finalContent();
  assert(last.includes(`fine: ${calls[1].id}`), last);
}

async function responses(client) {
  const response = await client.responses.create(RESPONSE);
  assert.match(response.id, /^resp_/);
  assert.equal(response.status, "completed");
  assert.match(response.output_text, /Hello from the SDK/);
  assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);

  let events = await all(await client.responses.create({ ...RESPONSE, stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  const deltas = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  assert.match(deltas.join(""), /Hello from the SDK/);

  // The fillers that the gateway puts in are no events.
  events = await all(await client.responses.create({ ...RESPONSE, stream: true }, scenario("silent")));
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);

  const final = await client.responses.stream({ ...RESPONSE, reasoning: { summary: "auto" } }).finalResponse();
  assert(final.output[0].type === "reasoning" && final.output[0].summary[0].text);
  assert(final.usage.output_tokens_details.reasoning_tokens > 0);

  const short = await client.responses.create(RESPONSE, scenario("max-tokens"));
  assert.deepEqual([short.status, short.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  const kinds = (await client.responses.create(RESPONSE, scenario("every-tool"))).output.map((item) => item.type);
  for (const kind of ["function_call", "custom_tool_call", "mcp_call", "web_search_call", "computer_call"]) {
    assert(kinds.includes(kind), kind);
  }
  events = await all(await client.responses.create({ ...RESPONSE, stream: true }, scenario("every-tool")));
  assert.deepEqual(events.at(-1).response.output.map((item) => item.type), kinds);
}

async function responseTools(client) {
  const asked = { model: MODEL, tools: [TOOL] };
  let turns = [{ role: "user", content: "What is the weather in Zürich?" }];
  let first = await client.responses.create({ ...asked, input: turns });
  const call = first.output.find((item) => item.type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Zürich" });
  turns.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "7 degrees, fog" });
  assert.match((await client.responses.create({ ...asked, input: turns })).output_text, /7 degrees, fog/);

  turns = [{ role: "user", content: "And in two cities?" }];
  first = await client.responses.stream({ ...asked, input: turns }, scenario("tools")).finalResponse();
  const calls = first.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((call) => JSON.parse(call.arguments).city), ["Zürich", "Oslo"]);
  turns.push(...calls.map(({ type, call_id, name, arguments: input }) => ({ type, call_id, name, arguments: input })));
  turns.push(...calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: `fine: ${call_id}` })));
  const last = await client.responses.stream({ ...asked, input: turns }).finalResponse();
  assert(last.output_text.includes(`fine: ${calls[1].call_id}`), last.output_text);
}

async function beside(client) {
  const asked = { model: "text-embedding-3-small", input: ["one", "two"], dimensions: 64 };
  const embeddings = await client.embeddings.create(asked);
  assert.deepEqual(embeddings.data.map((item) => item.embedding.length), [64, 64]);
  assert(Math.abs(embeddings.data[0].embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-3);
  assert(embeddings.usage.prompt_tokens > 0);
  assert((await all(client.models.list())).some((model) => model.id === MODEL));
  assert.equal((await client.models.retrieve(MODEL)).object, "model");
}

/** The two APIs, each with its name, its request, and what the answer to it says. */
const APIS = [
  ["chat", (client, more, options) => client.chat.completions.create({ ...CHAT, ...more }, options), chatText],
  ["response", (client, more, options) => client.responses.create({ ...RESPONSE, ...more }, options), responseText],
];

async function chatText(answer, stream) {
  if (!stream) return answer.choices[0].message.content;
  return ofTheAnswer(await all(answer)).map((chunk) => chunk.choices[0].delta.content ?? "").join("");
}

async function responseText(answer, stream) {
  if (!stream) return answer.output_text;
  return (await all(answer)).filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
}

async function errors(client) {
  const once = client.withOptions({ maxRetries: 0 });
  const stranger = connect("lgu_nobody", { maxRetries: 0 });
  let error;
  for (const [, call] of APIS) {
    const ask = (name, more) => call(once, more, scenario(name));
    await raises(OpenAI.AuthenticationError, () => call(stranger));
    error = await raises(OpenAI.RateLimitError, () => ask("error-429"));
    assert.deepEqual([error.code, error.headers.get("retry-after")], ["rate_limit_exceeded", "1"]);
    await raises(OpenAI.RateLimitError, () => ask("error-429", { stream: true }));
    await raises(OpenAI.BadRequestError, () => ask("error-400"));
    await raises(OpenAI.PermissionDeniedError, () => ask("error-403"));
    await raises(OpenAI.InternalServerError, () => ask("error-500"));
  }
  error = await raises(OpenAI.NotFoundError, () => once.chat.completions.create({ ...CHAT, model: "no-such-model" }));
  assert.equal(error.code, "model_not_found");
  assert.match(error.message, /no-such-model/);
  const broken = async () => all(await once.chat.completions.create({ ...CHAT, stream: true }, scenario("stream-error")));
  assert.match((await raises(OpenAI.APIError, broken)).message, /had an error/);
  let events = await all(await once.responses.create({ ...RESPONSE, stream: true }, scenario("failed")));
  assert.equal(events.at(-1).type, "response.failed");
  assert.equal(events.at(-1).response.error.code, "server_error");
  events = await all(await once.responses.create({ ...RESPONSE, stream: true }, scenario("stream-error")));
  assert.deepEqual([events.at(-1).type, events.at(-1).code], ["error", "server_error"]);
}

async function timeOuts(client) {
  const impatient = client.withOptions({ maxRetries: 0, timeout: 1000 });
  const timeOut = async ([api, call], stream) => {
    const model = `gpt-${api}-timed-out-${stream}`;
    await raises(OpenAI.APIConnectionTimeoutError, () => call(impatient, { model, stream }, scenario("late")));
    recorded(model, "client_aborted");
  };
  await Promise.all(APIS.flatMap((api) => [timeOut(api, false), timeOut(api, true)]));
}

async function retries(client) {
  const retry = async ([api, call, text], [name, outcome], stream) => {
    const model = `gpt-${api}-again-${name}-${stream}`;
    const patience = name === "late" ? { timeout: 1000 } : {};
    const asked = client.withOptions({ maxRetries: 1, ...patience });
    const answer = await call(asked, { model, stream }, scenario(`${name},text`));
    assert.match(await text(answer, stream), /Hello from the SDK/);
    recorded(model, outcome, "completed");
  };
  // No more tries than were asked for, and the last error is what is told.
  const inVain = async ([api, call]) => {
    const model = `gpt-${api}-in-vain`;
    const twice = client.withOptions({ maxRetries: 1 });
    await raises(OpenAI.RateLimitError, () => call(twice, { model }, scenario("error-500,error-429,text")));
    recorded(model, "failed", "failed");
  };
  // All of an API at a time, since they mostly wait.
  for (const api of APIS) {
    await Promise.all([...TRIES.flatMap((first) => [retry(api, first, false), retry(api, first, true)]), inVain(api)]);
  }
}

async function cancelled(client) {
  const more = (api, way) => {
    const model = `gpt-${api}-left-by-${way}`;
    recorded(model, "client_aborted");
    const said = api === "chat" ? { messages: [{ role: "user", content: LONG }] } : { input: LONG };
    return { model, stream: true, ...said };
  };
  for (const [api, call] of APIS) {
    // Out of the loop.
    for await (const _ of await call(client, more(api, "break"), scenario("slow"))) break;
    // By the stream's own controller: the loop ends as if that were all.
    const stream = await call(client, more(api, "abort"), scenario("slow"));
    let count = 0;
    for await (const _ of stream) {
      count += 1;
      stream.controller.abort();
    }
    assert(count > 0 && count < 20, `${count} events after leaving`);
    // By a signal of the caller's own.
    const leave = new AbortController();
    const signalled = await call(client, more(api, "signal"), { ...scenario("slow"), signal: leave.signal });
    for await (const _ of signalled) leave.abort();
  }
  // The helpers tell of it.
  const chat = client.chat.completions.stream(more("chat", "helper"), scenario("slow"));
  chat.on("content", () => chat.abort());
  await raises(OpenAI.APIUserAbortError, () => chat.finalChatCompletion());
}

// As the SDK finds them in the environment.
await chatBlocking(AZURE ? new AzureOpenAI({ timeout: 20_000 }) : new OpenAI({ timeout: 20_000 }));
const client = connect(TOKEN, { timeout: 20_000 });
await tried(client, {
  blocking: chatBlocking,
  streaming: chatStreaming,
  tools: chatTools,
  responses,
  response_tools: responseTools,
  beside,
  errors,
  timeouts: timeOuts,
  retries,
  cancelled,
});
console.log("openai", VERSION, "on node", process.version, "ok");
