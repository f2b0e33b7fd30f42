// The npm package of OpenAI.

import assert from "node:assert/strict";
import OpenAI from "openai";

const baseURL = `${process.env.LLAMAFILE_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.LLAMAFILE_KEY, maxRetries: 0 });
const content = "What is the capital of France? Answer in one word.";
const fields = { model: "smollm2", messages: [{ role: "user", content }], max_tokens: 32 };

const answer = await client.chat.completions.create(fields);
assert.match(answer.choices[0].message.content, /Paris/);

let text = "";
for await (const chunk of await client.chat.completions.create({ ...fields, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(text, answer.choices[0].message.content);

const response = await client.responses.create({
  model: "smollm2",
  input: content,
  max_output_tokens: 32,
});
assert.match(response.output_text, /Paris/);
const types = [];
const stream = { model: "smollm2", input: "Hi", max_output_tokens: 8, stream: true };
for await (const event of await client.responses.create(stream)) {
  types.push(event.type);
}
assert.equal(types[0], "response.created");
assert.match(types.at(-1), /^response\.(completed|incomplete)$/);

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const called = await client.chat.completions.create({
  ...fields,
  tools,
  tool_choice: "required",
  max_tokens: 200,
});
const call = called.choices[0].message.tool_calls[0].function;
assert.equal(call.name, "weather");
assert.equal(typeof JSON.parse(call.arguments).city, "string");

const vectors = await client.embeddings.create({ model: "smollm2", input: ["Hi", "Bye"] });
assert.deepEqual(vectors.data.map((one) => one.embedding.length), [576, 576]);

assert.ok((await client.models.list()).data.length > 0);
const empty = client.chat.completions.create({ ...fields, messages: [] });
await assert.rejects(empty, OpenAI.BadRequestError);
await assert.rejects(client.models.retrieve("nothing"), OpenAI.NotFoundError);
const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
await assert.rejects(stranger.chat.completions.create(fields), OpenAI.AuthenticationError);
console.log("OK");
