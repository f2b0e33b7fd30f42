"""LangChain's ChatOpenAI."""

import unittest
from typing import Literal

import openai
from common import KEY, URL
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

model = ChatOpenAI(
    base_url=f"{URL}/v1", api_key=KEY, model="smollm2", max_tokens=200, max_retries=0
)
QUESTION = "What is the capital of France? Answer in one word."


@tool
def weather(city: Literal["Paris", "Bern"]) -> str:
    """Tells the weather of a city."""
    return f"It is sunny in {city}."


class City(BaseModel):
    """A city."""

    name: str = Field(max_length=20)
    large: bool


class LangChain(unittest.TestCase):
    def test_answer(self):
        answer = model.invoke(QUESTION)
        self.assertIn("Paris", answer.content)
        self.assertGreater(answer.usage_metadata["input_tokens"], 10)

    def test_stream(self):
        text = "".join(chunk.content for chunk in model.stream(QUESTION))
        self.assertEqual(text, model.invoke(QUESTION).content)

    def test_batch(self):
        answers = model.bind(max_tokens=8).batch(["Hi", "Hello", "Good morning"])
        self.assertTrue(all(answer.content for answer in answers))

    def test_tools(self):
        answer = model.bind_tools([weather], tool_choice="weather").invoke("Weather in Paris?")
        self.assertEqual(answer.tool_calls[0]["name"], "weather")
        self.assertIn(answer.tool_calls[0]["args"]["city"], ["Paris", "Bern"])

    def test_structure(self):
        city = model.with_structured_output(City, method="json_schema").invoke(QUESTION)
        self.assertIsInstance(city, City)

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError):
            model.invoke("x " * 9000)
