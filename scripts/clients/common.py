"""What all tests of clients share."""

import json
import os
import urllib.error
import urllib.request

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


def _holds():
    """Whether the server holds answers to grammars."""
    body = {"messages": QUESTION, "max_tokens": 1, "response_format": {"type": "json_object"}}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{URL}/v1/chat/completions", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        if error.code != 501:
            raise
        return False


HOLDS = _holds()
