// The official @google/genai SDK, unmodified but for base URL and key, against a gateway whose provider is scripted.
//
// Usage: node genai.mjs gemini, with what `lychgate clients google-genai` prints in the environment
//
// Every step asserts on what the SDK made of the answer; the first that fails ends the run with its trace.

import assert from "node:assert/strict";
import { ApiError, FinishReason, GoogleGenAI } from "@google/genai";
import { LONG, all, raises, recorded, scenario, tried } from "./common.mjs";

const { GOOGLE_GEMINI_BASE_URL: BASE_URL, GEMINI_API_KEY: TOKEN } = process.env;
const MODEL = "gemini-3-flash";
const HELLO = "Hello from the SDK";
const ASKED = { model: MODEL, contents: HELLO };
// The smallest picture there is.
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/VscvDQAAAABJRU5ErkJggg==";
const WEATHER = {
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "OBJECT", properties: { city: { type: "STRING" } }, required: ["city"] },
};

/** A client of the SDK. */
function connect(apiKey = TOKEN) {
  return new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl: BASE_URL, timeout: 20_000 } });
}

/** A request to which the scripted provider plays this scenario. */
function played(name, { config, http, ...more } = {}) {
  return { ...ASKED, ...more, config: { ...config, httpOptions: { ...scenario(name), ...http } } };
}

const whole = async (client, asked = ASKED) => [await client.models.generateContent(asked)];
const streamed = async (client, asked = ASKED) => all(await client.models.generateContentStream(asked));
const text = (pieces) => pieces.map((piece) => piece.text ?? "").join("");

async function blocking(client) {
  const [answer] = await whole(client);
  assert(answer.text.includes(HELLO) && answer.responseId);
  assert.equal(answer.modelVersion, MODEL);
  assert.equal(answer.candidates[0].finishReason, FinishReason.STOP);
  const { usageMetadata: usage } = answer;
  assert(usage.totalTokenCount > 0 && usage.totalTokenCount === usage.promptTokenCount + usage.candidatesTokenCount);
  assert.equal((await whole(client, played("cached")))[0].usageMetadata.cachedContentTokenCount, 2048);
  assert.equal((await whole(client, played("max-tokens")))[0].candidates[0].finishReason, FinishReason.MAX_TOKENS);
  const contents = [{ inlineData: { data: PICTURE, mimeType: "image/png" } }, { text: "What is this?" }];
  assert.match(text(await whole(client, { model: MODEL, contents })), /What is this\?/);
}

async function streaming(client) {
  const pieces = await streamed(client);
  assert(pieces.length > 5 && text(pieces).includes(HELLO));
  assert(pieces.slice(0, -1).every((piece) => !piece.candidates[0].finishReason));
  assert.equal(pieces.at(-1).candidates[0].finishReason, FinishReason.STOP);
  assert(pieces.at(-1).usageMetadata.totalTokenCount > 0);
  for (const name of ["split", "slow", "trailing", "long"]) {
    assert(text(await streamed(client, played(name))), name);
  }
  // What the gateway puts in while the provider is silent is no piece.
  for (const name of ["silent", "silent-lf"]) {
    const silent = await streamed(client, played(name));
    assert.deepEqual([silent.length, text(silent)], [pieces.length, text(pieces)], name);
  }
}

async function thinking(client) {
  const asked = { ...ASKED, config: { thinkingConfig: { includeThoughts: true } } };
  for (const pieces of [await whole(client, asked), await streamed(client, asked)]) {
    const parts = pieces.flatMap((piece) => piece.candidates[0].content.parts);
    assert.match(parts.filter((part) => part.thought).map((part) => part.text).join(""), /think/);
    assert(text(pieces).includes(HELLO));
    assert(pieces.at(-1).usageMetadata.thoughtsTokenCount > 0);
  }
}

async function tools(client) {
  const asked = { model: MODEL, config: { tools: [{ functionDeclarations: [WEATHER] }] } };
  const contents = [{ role: "user", parts: [{ text: "What is the weather in Zürich?" }] }];
  const [first] = await whole(client, { ...asked, contents });
  const [call] = first.functionCalls;
  assert.deepEqual([call.name, call.args], ["get_weather", { city: "Zürich" }]);
  assert(first.candidates[0].content.parts.at(-1).thoughtSignature);
  const functionResponse = { name: call.name, response: { output: "7 degrees, fog" } };
  contents.push(first.candidates[0].content, { role: "user", parts: [{ functionResponse }] });
  assert.match(text(await whole(client, { ...asked, contents })), /7 degrees, fog/);

  const pieces = await streamed(client, played("tools", { ...asked, contents: "And in two cities?" }));
  const calls = pieces.flatMap((piece) => piece.functionCalls ?? []);
  assert.deepEqual(calls.map((call) => call.args.city), ["Zürich", "Oslo"]);

  const chat = client.chats.create({ model: MODEL });
  assert.match((await chat.sendMessage({ message: "My first word" })).text, /first/);
  assert.match(text(await all(await chat.sendMessageStream({ message: "My second word" }))), /second/);
}

async function beside(client) {
  for (const model of ["gemini-embedding-2", "gemini-embedding-001"]) {
    const { embeddings } = await client.models.embedContent({ model, contents: "one" });
    assert(embeddings.length === 1 && embeddings[0].values.length > 1, model);
  }
  const many = await client.models.embedContent({ model: "gemini-embedding-001", contents: ["one", "two"] });
  assert.equal(many.embeddings.length, 2);
  assert((await client.models.countTokens(ASKED)).totalTokens > 0);
  const names = (await all(await client.models.list())).map((model) => model.name);
  assert(names.includes(`models/${MODEL}`), names.join());
  assert.equal((await client.models.get({ model: MODEL })).name, `models/${MODEL}`);
}

async function errors(client) {
  const stranger = connect("lgu_nobody");
  for (const ask of [whole, streamed]) {
    const status = async (client, asked) => (await raises(ApiError, () => ask(client, asked))).status;
    assert.equal(await status(stranger), 401);
    assert.equal(await status(client, played("error-429")), 429);
    assert.equal(await status(client, played("error-400")), 400);
    assert.equal(await status(client, played("error-500")), 500);
    const error = await raises(ApiError, () => ask(client, { ...ASKED, model: "no-such-model" }));
    assert.equal(error.status, 404);
    assert.match(error.message, /no-such-model/);
  }
  const model = "gemini-breaks-off";
  const error = await raises(ApiError, () => streamed(client, played("breaks-off", { model })));
  assert.match(error.message, /overloaded/);
  recorded(model, "failed");
}

async function timeOuts(client) {
  const timeOut = async (ask) => {
    const model = `gemini-timed-out-${ask.name}`;
    await assert.rejects(ask(client, played("late", { model, http: { timeout: 1_000 } })), /abort|timed? ?out/i);
    recorded(model, "client_aborted");
  };
  await Promise.all([timeOut(whole), timeOut(streamed)]);
}

async function retries(client) {
  // Each try asks for the same, so that all of them fail.
  const inVain = async (name, ask) => {
    const model = `gemini-in-vain-${name}-${ask.name}`;
    const http = { retryOptions: { attempts: 2, initialDelay: 0.1, jitter: 0 } };
    await assert.rejects(ask(client, played(name, { model, http })));
    recorded(model, "failed", "failed");
  };
  await Promise.all(["error-429", "error-500"].flatMap((name) => [inVain(name, whole), inVain(name, streamed)]));
}

async function cancelled(client) {
  const leaving = (way) => ({ model: `gemini-left-by-${way}`, contents: LONG });
  const leave = new AbortController();
  const aborted = async () => {
    const config = { abortSignal: leave.signal };
    const stream = await client.models.generateContentStream(played("slow", { ...leaving("signal"), config }));
    for await (const _ of stream) leave.abort();
  };
  await assert.rejects(aborted(), { name: "AbortError" });
  recorded("gemini-left-by-signal", "client_aborted");
}

// As the SDK finds them in the environment.
await blocking(new GoogleGenAI({}));
await tried(connect(), {
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
console.log("@google/genai ok");
