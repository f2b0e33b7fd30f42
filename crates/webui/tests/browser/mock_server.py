#!/usr/bin/env python3
"""Serves the page and fakes the routes that it uses, for tests in a browser.

What the last message of the user asks for decides the answer: see `answer`. Answers come slowly, a
word at a time, in the format of llama.cpp's server.

    mock_server.py [--port 8080] [--prefix /path] [--key KEY] [--models a,b] [--vision]
                   [--load-seconds 0]
"""

import argparse
import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CRATE = Path(__file__).resolve().parents[2]
POLICY = "; ".join((CRATE / "content-security-policy.txt").read_text().splitlines())
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
CONTEXT = 8192

SHOWCASE = r"""# A showcase

Plain text with **strong**, *emphasis*, ~~deleted~~ and `code`, a [link](https://example.org/), AT&T &
an entity &copy;. It costs $5 and not $7.

- one
- two
  - nested
- [x] done
- [ ] not done

1. first
2. second

> A quotation.

| name | value |
| :--- | ---: |
| `a` | 1 |
| b | 22 |

```python
def greet(name: str) -> str:
    # A comment.
    return f"Hello, {name}!"
```

Euler wrote $e^{i\pi} + 1 = 0$, and \(a^2 + b^2 = c^2\) is older.

$$
x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}
$$

\[ \sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6} \]

The end, with a [reference].

[reference]: https://example.org/reference
"""

HOSTILE = r"""<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 2">

Inline <img src=x onerror="window.hacked = 3"> and <svg onload="window.hacked = 4"></svg>.

[click](javascript:window.hacked=5) [data](data:text/html,<script>window.hacked=6</script>)
[vb](vbscript:x) [tab](java&#9;script:window.hacked=7) <javascript:window.hacked=8>

![remote](https://attacker.example/pixel.png) ![data](data:image/svg+xml,<svg/onload=alert(1)>)

$\href{javascript:window.hacked=9}{x}$ $\includegraphics{https://attacker.example/math.png}$
$\style{position:fixed}{x}$ $$\def\a{\a\a}\a$$

```html"><script>window.hacked = 10</script>
<script>window.hacked = 11</script>
```

<iframe src="https://attacker.example/"></iframe>
<form action="https://attacker.example/"><input name=a></form>
<style>body { display: none }</style>
<base href="https://attacker.example/">

__proto__ constructor &#0; &#x110000; &constructor; &__proto__;

"""


def huge() -> str:
    """Inputs that are costly for careless parsers, one paragraph each."""
    return "\n\n".join(
        [
            ">" * 3000 + " deep",
            "[" * 20000,
            "*a_ " * 5000,
            "a" * 50000 + "@",
            "$" * 5001,
            r"\(" * 5000,
            "`a" * 10000,
            "\n".join(" " * 2 * depth + "- item" for depth in range(120)),
            "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + "|b" * 500 + "|",
            "```python\n" + "x = [1, 2, 3]\n" * 3000 + "```",
        ]
    )


def answer(request: dict) -> tuple[str, str, float]:
    """The thinking, the answer, and the seconds between words, for a request."""
    last = request["messages"][-1]["content"]
    text = last if isinstance(last, str) else " ".join(part.get("text", "") for part in last)
    thinking = "First I consider it. " * 8 if "think" in text else ""
    if "showcase" in text:
        return thinking, SHOWCASE, 0.01
    if "hostile" in text:
        return "", HOSTILE, 0.001
    if "huge" in text:
        return "", huge(), 0
    if "request" in text:
        return "", "```json\n" + json.dumps(request, indent=1) + "\n```", 0
    if "slow" in text:
        return thinking, "word " * 400, 0.03
    if "long" in text:
        return "", "\n\n".join(f"Paragraph {i}. " + "Some more words. " * 20 for i in range(400)), 0
    return thinking, f"You said: {text[:200]}", 0.01


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.inner_path()
        if path in ("/health", "/props", "/v1/models"):
            self.api(path)
        else:
            self.asset(path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.inner_path() != "/v1/chat/completions":
            self.send_json(404, {"error": {"message": "no such route"}})
        elif self.is_allowed():
            self.chat(json.loads(body))

    def inner_path(self) -> str:
        path = self.path.partition("?")[0]
        return path.removeprefix(self.server.options.prefix)

    def asset(self, path: str):
        name = "index.html" if path in ("", "/") else path.lstrip("/")
        file = (CRATE / "assets" / name).resolve()
        if not file.is_file() or CRATE not in file.parents:
            self.send_json(404, {"error": {"message": f"no file {name}"}})
            return
        content_type = TYPES.get(file.suffix, "text/plain; charset=utf-8")
        self.send_body(200, content_type, file.read_bytes())

    def api(self, path: str):
        if time.monotonic() < self.server.ready_at:
            self.send_json(503, {"error": {"message": "Loading model", "code": 503}})
        elif path == "/health":
            self.send_json(200, {"status": "ok"})
        elif self.is_allowed():
            models = self.server.options.models.split(",")
            self.send_json(
                200,
                {"object": "list", "data": [{"id": model, "object": "model"} for model in models]}
                if path == "/v1/models"
                else {
                    "default_generation_settings": {
                        "n_ctx": CONTEXT,
                        "params": {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
                    },
                    "model_path": models[0],
                    "chat_template": "",
                    "modalities": {"vision": self.server.options.vision, "audio": False},
                },
            )

    def is_allowed(self) -> bool:
        key = self.server.options.key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.send_json(401, {"error": {"message": "Invalid API Key", "code": 401}})
        return False

    def chat(self, request: dict):
        text = json.dumps(request["messages"][-1])
        if "fail" in text and not self.server.failed:
            self.server.failed = True
            self.send_json(500, {"error": {"message": "The mock fails once", "code": 500}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.stream(request)
        except (BrokenPipeError, ConnectionResetError):
            self.server.aborted += 1
        self.close_connection = True

    def stream(self, request: dict):
        thinking, content, pause = answer(request)
        prompt = len(json.dumps(request["messages"])) // 4
        pieces = [("reasoning_content", word) for word in re.findall(r"\S*\s*", thinking) if word]
        pieces += [("content", word) for word in re.findall(r"\S*\s*", content) if word]
        start = time.monotonic()
        if "request" not in content[:200]:
            time.sleep(0.1)
        for number, (field, word) in enumerate(pieces, 1):
            if pause:
                time.sleep(pause)
            timings = self.timings(prompt, number, time.monotonic() - start)
            self.event({"choices": [{"index": 0, "delta": {field: word}}], "timings": timings})
            if "break" in json.dumps(request["messages"][-1]) and number == 5:
                self.event({"error": {"message": "The mock breaks off", "code": 500}})
                return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        total = prompt + len(pieces)
        usage = {"prompt_tokens": prompt, "completion_tokens": len(pieces), "total_tokens": total}
        timings = self.timings(prompt, len(pieces), time.monotonic() - start)
        self.event({"choices": [], "usage": usage, "timings": timings})
        self.wfile.write(b"data: [DONE]\n\n")

    def timings(self, prompt: int, predicted: int, seconds: float) -> dict:
        return {
            "cache_n": prompt // 2,
            "prompt_n": prompt - prompt // 2,
            "prompt_ms": 100.0,
            "prompt_per_second": (prompt - prompt // 2) * 10.0,
            "predicted_n": predicted,
            "predicted_ms": seconds * 1000,
            "predicted_per_second": predicted / max(seconds, 1e-6),
        }

    def event(self, chunk: dict):
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def send_json(self, status: int, value: dict):
        self.send_body(status, "application/json", json.dumps(value).encode())

    def send_body(self, status: int, content_type: str, body: bytes):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet: the tests print what matters."""


class MockServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, arguments: list[str]):
        self.options = parse(arguments)
        self.ready_at = time.monotonic() + self.options.load_seconds
        # Whether the error that comes once has come.
        self.failed = False
        # Answers that the client did not wait for.
        self.aborted = 0
        super().__init__(("127.0.0.1", self.options.port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.options.prefix}/"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--key")
    parser.add_argument("--models", default="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--vision", action="store_true")
    parser.add_argument("--load-seconds", type=float, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    server = MockServer(None)
    print(server.url, flush=True)
    server.serve_forever()
