"""The Python package of Anthropic."""

import unittest

import anthropic
from common import KEY, QUESTION, URL, WEATHER

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
TOOL = {"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER}


def ask(**fields):
    return client.messages.create(
        **{"model": "smollm2", "messages": QUESTION, "max_tokens": 32, **fields}
    )


class Messages(unittest.TestCase):
    def test_answer(self):
        answer = ask(system=[{"type": "text", "text": "You are helpful."}])
        self.assertIn("Paris", answer.content[0].text)
        self.assertEqual(answer.stop_reason, "end_turn")
        self.assertGreater(answer.usage.output_tokens, 0)
        again = ask(system=[{"type": "text", "text": "You are helpful."}])
        self.assertGreater(again.usage.cache_read_input_tokens, 0)

    def test_stops(self):
        self.assertEqual(ask(max_tokens=1).stop_reason, "max_tokens")
        answer = ask(stop_sequences=["Par"])
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("stop_sequence", "Par"))

    def test_stream(self):
        fields = {"model": "x", "messages": QUESTION, "max_tokens": 32}
        with client.messages.stream(**fields) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(final.content[0].text, text)
        self.assertEqual(text, ask().content[0].text)
        self.assertGreater(final.usage.output_tokens, 0)

    def test_counting(self):
        fields = {"model": "x", "messages": QUESTION}
        plain = client.messages.count_tokens(**fields).input_tokens
        self.assertGreater(client.messages.count_tokens(tools=[TOOL], **fields).input_tokens, plain)

    def test_tools(self):
        use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is sunny."}
        messages = [
            {"role": "user", "content": "How is the weather in Paris?"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
        self.assertTrue(ask(messages=messages, tools=[TOOL]).content)

    def test_required_tools(self):
        for choice in [{"type": "any"}, {"type": "tool", "name": "weather"}]:
            fields = {"tools": [TOOL], "tool_choice": choice, "max_tokens": 200}
            answer = ask(**fields)
            self.assertEqual(answer.stop_reason, "tool_use")
            use = answer.content[-1]
            self.assertTrue(use.id.startswith("toolu_"))
            self.assertIn(use.input["city"], ["Paris", "Bern"])
            fields |= {"model": "x", "messages": QUESTION}
            with client.messages.stream(**fields) as stream:
                streamed = stream.get_final_message().content[-1]
            self.assertEqual(streamed.input, use.input)

    def test_errors(self):
        image = {"type": "base64", "media_type": "image/png", "data": "aGk="}
        content = [{"type": "image", "source": image}]
        with self.assertRaises(anthropic.BadRequestError) as refused:
            ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(refused.exception.body["error"]["type"], "invalid_request_error")
        with self.assertRaises(anthropic.BadRequestError):
            ask(messages=[{"role": "user", "content": "x " * 9000}])
        with self.assertRaises(anthropic.AuthenticationError):
            client.with_options(api_key="wrong").messages.create(
                model="x", messages=QUESTION, max_tokens=1
            )
        with self.assertRaises(anthropic.NotFoundError):
            client.messages.batches.list()
