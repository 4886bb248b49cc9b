// What the conversations of both SDKs share.

import assert from "node:assert/strict";

/** The request option that makes the scripted provider play this scenario; several, apart by commas: one for each try. */
export const scenario = (name) => ({ headers: { "x-scripted": name } });

/** So many words that the `slow` scenario, which repeats them, takes several seconds: a client that leaves early leaves mid-stream. */
export const LONG = "word ".repeat(200).trim();

/** Awaits the call, which must throw exactly this kind of error, and gives the error. */
export async function raises(kind, call) {
  let made;
  try {
    made = await call();
  } catch (error) {
    assert.equal(error.constructor, kind, `expected ${kind.name}, got ${error.constructor.name}: ${error.stack}`);
    return error;
  }
  assert.fail(`expected ${kind.name}, but got ${JSON.stringify(made)}`);
}

/** All that comes, in a list. */
export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Tells the test which interceptions of this model must be on record, each by its outcome, oldest first. */
export function recorded(model, ...outcomes) {
  console.log(`recorded ${model} ${outcomes.join(" ")}`);
}

/** Runs the steps of a conversation, each by its name, and tells the test which they were. */
export async function tried(client, steps) {
  for (const [name, step] of Object.entries(steps)) {
    await step(client);
    console.log(`tried ${name}`);
  }
}

/** How the first of two tries fails, and its outcome on record. */
export const TRIES = [
  ["error-429", "failed"],
  ["error-500", "failed"],
  // The head comes later than the client waits.
  ["late", "client_aborted"],
];
