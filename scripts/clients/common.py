"""What all tests of clients share."""

import os

URL = os.environ["LLAMAFILE_URL"]
KEY = os.environ["LLAMAFILE_KEY"]

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Bern"]}},
    "required": ["city"],
}
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}},
    "required": ["name", "large"],
    "additionalProperties": False,
}
