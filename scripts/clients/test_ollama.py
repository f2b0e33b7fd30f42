"""The Python package of Ollama."""

import json
import unittest

import ollama
from common import CITY, KEY, QUESTION, URL

client = ollama.Client(host=URL, headers={"Authorization": f"Bearer {KEY}"})
OPTIONS = {"num_predict": 32}


class Ollama(unittest.TestCase):
    def test_chat(self):
        answer = client.chat("smollm2", QUESTION, options=OPTIONS)
        self.assertIn("Paris", answer.message.content)
        self.assertEqual(answer.done_reason, "stop")
        self.assertGreater(answer.eval_duration, 0)
        stream = list(client.chat("smollm2", QUESTION, options=OPTIONS, stream=True))
        text = "".join(part.message.content for part in stream)
        self.assertEqual(text, answer.message.content)
        self.assertTrue(stream[-1].done)

    def test_tools(self):
        def weather(city: str) -> str:
            """Tells the weather of a city."""
            return f"It is sunny in {city}."

        answer = client.chat("smollm2", QUESTION, tools=[weather], options=OPTIONS)
        self.assertTrue(answer.message.content or answer.message.tool_calls)
        call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
        messages = [
            {"role": "user", "content": "How is the weather in Paris?"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_name": "weather", "content": weather("Paris")},
        ]
        answer = client.chat("smollm2", messages, tools=[weather], options=OPTIONS)
        self.assertTrue(answer.message.content or answer.message.tool_calls)

    def test_json(self):
        answer = client.chat("smollm2", QUESTION, format=CITY, options={"num_predict": 200})
        self.assertEqual(set(json.loads(answer.message.content)), {"name", "large"})

    def test_generate(self):
        first = client.generate("smollm2", "My name is Ada.", options=OPTIONS)
        self.assertTrue(first.response)
        second = client.generate("smollm2", "And?", context=first.context, options=OPTIONS)
        self.assertGreater(second.prompt_eval_count, len(first.context))
        raw = client.generate("smollm2", "1, 2, 3, 4,", raw=True, options={"num_predict": 4})
        self.assertIn("5", raw.response)
        stream = list(client.generate("smollm2", "Hi", stream=True, options=OPTIONS))
        self.assertEqual(stream[-1].done_reason is not None, True)

    def test_models(self):
        name = client.list().models[0].model
        self.assertEqual(client.show(name).modelinfo["general.architecture"], "llama")
        self.assertEqual(client.ps().models[0].model, name)

    def test_embeddings(self):
        vectors = client.embed("smollm2", ["The cat sleeps.", "Rates went up."]).embeddings
        self.assertEqual([len(vector) for vector in vectors], [576, 576])
        self.assertAlmostEqual(sum(value * value for value in vectors[0]), 1, places=3)
        self.assertEqual(len(client.embeddings("smollm2", "Hi").embedding), 576)

    def test_errors(self):
        for call, status in [
            (lambda: client.chat("x", QUESTION, options={"num_ctx": 1 << 20}), 400),
            (lambda: client.chat("x", [{"role": "user", "images": [b"x"]}]), 400),
            (lambda: client.embed("x", "hi " * 9000, truncate=False), 400),
            (lambda: client.delete("x"), 404),
            (lambda: ollama.Client(host=URL).chat("x", QUESTION), 401),
        ]:
            with self.assertRaises(ollama.ResponseError) as refused:
                call()
            self.assertEqual(refused.exception.status_code, status)
