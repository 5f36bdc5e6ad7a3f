"""A server on this machine that speaks OpenAI's protocol, by a script."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], str]
"""Status, headers, body."""
Script = Callable[[dict[str, Any]], Answer]
"""Makes the answer to a request's body."""
LISTED = {" A": -0.5, "B": -1.5, "C": -3.0}
PROMPT_TOKENS = 40


class FakeEndpoint:
    """Answers requests by `script`, which a test may replace, and keeps their bodies and headers."""

    def __init__(self, base_url: str, script: Script) -> None:
        self.base_url, self.script = base_url, script
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.lock = threading.Lock()


def reply(body: dict[str, Any], listed: dict[str, float] | None = LISTED, texts: tuple[str, ...] = ("A",)) -> Answer:
    """A reply to a request: as many texts as it asks for, taken in turn from `texts`, and log-probabilities if it asks
    for them and `listed` has them."""
    said = [texts[i % len(texts)] for i in range(body.get("n", 1))]
    choices = [{"index": i, "finish_reason": "stop", **_choice(body, text, listed)} for i, text in enumerate(said)]
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(said)}
    return 200, {}, json.dumps({"object": "reply", "choices": choices, "usage": usage})


def _choice(body: dict[str, Any], text: str, listed: dict[str, float] | None) -> dict[str, Any]:
    wanted = listed is not None and body.get("logprobs")
    if "messages" not in body:
        return {"text": text, "logprobs": {"top_logprobs": [listed]} if wanted else None}
    entries = [{"token": token, "logprob": value} for token, value in (listed or {}).items()]
    logprobs = {"content": [{"token": text, "logprob": -0.5, "top_logprobs": entries}]} if wanted else None
    return {"message": {"role": "assistant", "content": text}, "logprobs": logprobs}


def error(status: int, message: str = "no", code: str = "", **headers: str) -> Answer:
    """An error in the form of OpenAI's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": {"message": message, "code": code}})


def in_turn(*answers: Answer | Script) -> Script:
    """One answer after the other; the last one for ever."""
    left, lock = list(answers), threading.Lock()

    def script(body: dict[str, Any]) -> Answer:
        with lock:
            answer = left.pop(0) if len(left) > 1 else left[0]
        return answer(body) if callable(answer) else answer

    return script


class _Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(script: Script = reply) -> Iterator[FakeEndpoint]:
    """The server, on a free port, for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with endpoint.lock:
                endpoint.bodies.append(body)
                endpoint.headers.append(dict(self.headers))
                endpoint.paths.append(self.path)
            self._send(*endpoint.script(body))

        def _send(self, status: int, headers: dict[str, str], text: str) -> None:
            content = text.encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    endpoint = FakeEndpoint(f"http://127.0.0.1:{server.server_port}/v1", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
