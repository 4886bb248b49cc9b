// The Anthropic and OpenAI SDKs through a gateway: npm install @anthropic-ai/sdk openai
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { GATEWAY: gateway, LYCHGATE_USER_TOKEN: apiKey } = process.env;

const anthropic = new Anthropic({ baseURL: `${gateway}/ai/anthropic`, apiKey });
const message = await anthropic.messages.create({
  model: "claude-sonnet-5",
  max_tokens: 256,
  messages: [{ role: "user", content: "What is a lychgate?" }],
});
console.log(message.content[0].text);

const openai = new OpenAI({ baseURL: `${gateway}/ai/openai/v1`, apiKey });
const response = await openai.responses.create({ model: "gpt-5-mini", input: "What is a lychgate?" });
console.log(response.output_text);
