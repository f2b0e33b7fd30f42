"""Runs tests of the page in Chromium: `scripts/test-webui` starts it."""

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

# Importing these registers their tests.
import answers
import appearance
import chats
import exchanges
import history
from mock_server import MockServer
from playwright.sync_api import Browser, sync_playwright
from ui import TESTS, Ui

def run(browser: Browser, function, options: dict, arguments: argparse.Namespace):
    """Runs one test in a fresh profile; raises where it fails."""
    server = None
    url = arguments.url
    if url is None:
        server = MockServer(options["mock"] or [])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = server.url
    width, height = options["size"]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=options["scheme"],
        has_touch=options["phone"],
        is_mobile=options["phone"],
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    problems = []
    origin = urlsplit(url)[:2]

    def log(message):
        if message.type in ("error", "warning") and not any(
            re.search(pattern, message.text) for pattern in options["errors"]
        ):
            problems.append(f"{message.type}: {message.text}")

    def request(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts[:2] != origin:
            problems.append(f"request to {request.url}")

    page.on("console", log)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("request", request)
    if arguments.url:
        # Enough to be stopped, and not too much to wait for.
        settings = {"key": arguments.key, "samplers": {"max_tokens": 150}}
        quoted = json.dumps(json.dumps(settings))
        page.add_init_script(f"localStorage['llamafile.settings'] ??= {quoted};")
    ui = Ui(page, url, server, Path(os.environ.get("WEBUI_SCREENSHOTS", tempfile.gettempdir())))
    try:
        function(ui)
        assert not problems, problems
    except BaseException:
        ui.screenshot(f"failed-{function.__name__}")
        raise
    finally:
        context.close()
        if server:
            server.shutdown()
            server.server_close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Drives the web UI in headless Chromium.")
    parser.add_argument("--url", help="of a real server; without it a mock is used")
    parser.add_argument("--key", default="", help="the real server's API key")
    parser.add_argument("names", nargs="*", help="tests to run; without them all")
    arguments = parser.parse_args()
    known = {function.__name__ for function, _ in TESTS}
    if unknown := set(arguments.names) - known:
        parser.error(f"no test is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = [
        (function, options)
        for function, options in TESTS
        if (not arguments.names or function.__name__ in arguments.names)
        and (arguments.url is None or options["mock"] is None)
    ]
    failed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"),
            # Chromium's own sandbox does not work for root.
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        for function, options in chosen:
            start = time.monotonic()
            try:
                run(browser, function, options, arguments)
            except Exception:
                failed.append(function.__name__)
                traceback.print_exc()
            verdict = "FAILED" if function.__name__ in failed else "ok"
            print(f"{verdict:6} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        browser.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
