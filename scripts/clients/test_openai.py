"""The Python package of OpenAI."""

import json
import unittest

import openai
from common import CITY, KEY, QUESTION, URL, WEATHER

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}


def ask(**fields):
    return client.chat.completions.create(
        **{"model": "smollm2", "messages": QUESTION, "max_tokens": 32, **fields}
    )


class Chat(unittest.TestCase):
    def test_answer(self):
        answer = ask()
        self.assertIn("Paris", answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertGreater(answer.usage.prompt_tokens, 10)
        again = ask()
        self.assertGreater(again.usage.prompt_tokens_details.cached_tokens, 0)

    def test_stream(self):
        chunks = list(ask(stream=True, stream_options={"include_usage": True}))
        deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        whole = ask().choices[0].message.content
        self.assertEqual("".join(text for text in deltas if text), whole)
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    def test_options(self):
        answer = ask(n=2, logprobs=True, top_logprobs=2, stop=["zzz"], seed=3, temperature=1)
        self.assertEqual(len(answer.choices), 2)
        self.assertEqual(len(answer.choices[0].logprobs.content[0].top_logprobs), 2)

    def test_tools(self):
        answer = ask(tools=[TOOL]).choices[0]
        for call in answer.message.tool_calls or []:
            self.assertEqual(call.function.name, "weather")
        call = {"id": "1", "type": "function"}
        call["function"] = {"name": "weather", "arguments": '{"city": "Paris"}'}
        messages = [
            {"role": "user", "content": "How is the weather in Paris?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "It is sunny."},
        ]
        self.assertTrue(ask(messages=messages, tools=[TOOL]).choices[0].message.content)

    def test_required_tools(self):
        for choice in ["required", {"type": "function", "function": {"name": "weather"}}]:
            answer = ask(tools=[TOOL], tool_choice=choice, max_tokens=200).choices[0]
            self.assertEqual(answer.finish_reason, "tool_calls")
            call = answer.message.tool_calls[0].function
            self.assertEqual(call.name, "weather")
            self.assertIn(json.loads(call.arguments)["city"], ["Paris", "Bern"])
            stream = ask(tools=[TOOL], tool_choice=choice, max_tokens=200, stream=True)
            parts = [c.choices[0].delta.tool_calls for c in stream if c.choices]
            parts = [part[0].function.arguments for part in parts if part]
            self.assertIn(json.loads("".join(parts))["city"], ["Paris", "Bern"])

    def test_json(self):
        text = ask(response_format=FORMAT, max_tokens=200).choices[0].message.content
        self.assertEqual(set(json.loads(text)), {"name", "large"})
        text = ask(response_format={"type": "json_object"}, max_tokens=400).choices[0]
        if text.finish_reason == "stop":
            self.assertIsInstance(json.loads(text.message.content), dict)

    def test_completions(self):
        answer = client.completions.create(model="x", prompt="1, 2, 3, 4,", max_tokens=4)
        self.assertIn("5", answer.choices[0].text)


class Responses(unittest.TestCase):
    def test_answer(self):
        answer = client.responses.create(model="x", input=QUESTION, max_output_tokens=32)
        self.assertEqual(answer.status, "completed")
        self.assertIn("Paris", answer.output_text)
        self.assertGreater(answer.usage.input_tokens, 10)

    def test_stream(self):
        fields = {"model": "x", "input": QUESTION, "max_output_tokens": 32}
        with client.responses.stream(**fields) as stream:
            events = list(stream)
            final = stream.get_final_response()
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(final.output_text, text)
        numbers = [event.sequence_number for event in events]
        self.assertEqual(numbers, sorted(numbers))

    def test_tools(self):
        tool = {"type": "function", "name": "weather", "parameters": WEATHER}
        fields = {"model": "x", "tools": [tool], "tool_choice": "required"}
        question = {"role": "user", "content": "How is the weather in Paris?"}
        answer = client.responses.create(input=[question], **fields)
        call = answer.output[-1]
        self.assertEqual((call.type, call.name), ("function_call", "weather"))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
        fields["tool_choice"] = "none"
        items = [question, call.model_dump(), result]
        answer = client.responses.create(input=items, max_output_tokens=32, **fields)
        self.assertTrue(answer.output_text)

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError):
            client.responses.create(model="x", input="x", previous_response_id="resp_1")


class Others(unittest.TestCase):
    def test_models(self):
        models = client.models.list().data
        self.assertEqual(client.models.retrieve(models[0].id).object, "model")

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError):
            ask(messages=[])
        with self.assertRaises(openai.BadRequestError) as refused:
            ask(messages=[{"role": "user", "content": "x " * 9000}])
        self.assertEqual(refused.exception.body["type"], "exceed_context_size_error")
        with self.assertRaises(openai.NotFoundError):
            client.models.retrieve("nothing")
        with self.assertRaises(openai.AuthenticationError):
            client.with_options(api_key="wrong").chat.completions.create(
                model="x", messages=QUESTION
            )
        with self.assertRaises(openai.BadRequestError):
            client.embeddings.create(model="x", input="x " * 9000)
        with self.assertRaises(openai.InternalServerError) as refused:
            client.post("/rerank", body={"query": "x", "documents": ["x"]}, cast_to=object)
        self.assertEqual(refused.exception.status_code, 501)

    def test_embeddings(self):
        texts = ["The cat sleeps.", "A cat is sleeping.", "Interest rates went up."]
        # The package asks for base64; the numbers must be the same.
        vectors = [one.embedding for one in client.embeddings.create(model="x", input=texts).data]
        floats = client.embeddings.create(model="x", input=texts, encoding_format="float").data
        self.assertEqual([len(vector) for vector in vectors], [576] * 3)
        for vector, one in zip(vectors, floats):
            self.assertTrue(all(abs(a - b) < 1e-4 for a, b in zip(vector, one.embedding)))
            self.assertAlmostEqual(sum(value * value for value in vector), 1, places=3)
        alike = [sum(a * b for a, b in zip(vectors[0], other)) for other in vectors]
        self.assertGreater(alike[1], alike[2])
        self.assertEqual(len(client.embeddings.create(model="x", input="a", dimensions=64).data[0].embedding), 64)
