"""What all pages of a study share: templates and words, forms, headers, rates, and the answers to what goes wrong."""

import re
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from rostrum.envs.text.quotes import MARKED, escape_markup
from rostrum.launch.people import access
from rostrum.rewards.people import database
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People

HERE = Path(__file__).parent
LARGEST = 100_000
"""Bytes of a form."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Form = Mapping[str, str]


class Site(ABC):
    """The pages of one study, or of a part of them; each request opens a connection of its own."""

    cookie = access.SESSION
    """Where a browser keeps its session."""

    def __init__(self, study: Path, people: People, secure: bool = False, now: Callable[[], float] = time.time) -> None:
        """Make it. `secure` says that browsers reach it by https."""
        self.study, self.people, self.secure, self.now = study, people, secure, now
        self.secret = access.study_secret(study)
        self.words: dict[str, str] = yaml.safe_load((HERE / "words.yaml").read_text("utf-8"))
        self._rates = access.Rates(240, 60.0)
        self._open = database.connect(study)  # while one is, closing another does not tidy the log up, which is slow
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=_fit_for_a_page,
        )
        self._templates.globals |= {"words": self.words, "marked": self._marked}

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return the pages."""

    def application(self) -> Starlette:
        """Return what a server runs."""
        return Starlette(
            routes=[*self.routes(), Route("/static/{name}", _static)],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guard)],
            exception_handlers={404: self._not_found, 405: self._not_found},
        )

    def connection(self) -> "closing[sqlite3.Connection]":
        """Return the study's database, as a context."""
        return closing(database.connect(self.study))

    def page(self, template: str, title: str, status: int = 200, **context: Any) -> Response:
        """Return a page made from a template of the folder `pages`."""
        made = self._templates.get_template(template).render(title=title, **({"progress": ""} | context))
        return HTMLResponse(made, status)

    def plain(self, title: str, status: int, text: str) -> Response:
        """Return a page of one sentence; the title is a key of `words.yaml`."""
        return self.page("base.html.j2", self.words[title], status, text=text)

    def told(self, error: StudyError) -> str:
        """Return what a study's error says, in the words of the pages."""
        problems = cast(dict[str, str], self.words["problems"])
        return problems[error.key].format(**error.values) if error.key else str(error)

    def form(self, session: str, *, title: str, action: str, button: str, **more: Any) -> Response:
        """Return a page with a form of one button and perhaps a box, signed for this session."""
        context = {"notice": "", "html": "", "text": "", "box": "", "hidden": {}} | more
        return self.page("form.html.j2", title, action=action, button=button, csrf=self.token(session), **context)

    def token(self, session: str) -> str:
        """Return what a form of this session carries."""
        return access.form_token(self.secret, session)

    def is_ours(self, session: str, form: Form) -> bool:
        """Return whether a form came from one of our pages for this session."""
        return access.is_form_token(self.secret, session, form.get("csrf", ""))

    def forged(self) -> Response:
        """Return the answer to a form that did not come from one of our pages."""
        return self.plain("forged_title", 403, self.words["forged_text"])

    async def _guard(self, request: Request, go_on: RequestResponseEndpoint) -> Response:
        """Refuse more than so many requests of one sender, and put our headers on every answer."""
        sender = request.cookies.get(self.cookie) or (request.client.host if request.client else "")
        if self._rates.allow(access.hashed(sender)):
            response = await go_on(request)
        else:
            response = self.plain("too_many_title", 429, self.words["too_many_text"])
        response.headers.update(HEADERS)
        return response

    async def _not_found(self, request: Request, error: Exception) -> Response:
        return self.plain("not_found_title", 404, "")

    def _marked(self, text: str) -> Markup:
        """Return a speech as HTML: its quotes marked as verified or not, everything else escaped."""
        text = escape_markup(text)
        parts, end = [], 0
        for found in MARKED.finditer(text):
            kind, sign, word = ("found", "✓", "verified") if found[1] == "v" else ("missing", "✗", "unverified")
            parts += [
                escape(text[end : found.start()]),
                Markup('<mark class="{}" data-sign="{}">{}<span class="hidden"> ({})</span></mark>').format(
                    kind, sign, found[2], self.words[word]
                ),
            ]
            end = found.end()
        return Markup("").join([*parts, escape(text[end:])])


def _fit_for_a_page(value: Any) -> Any:
    """Return what a template shows without control signs and the like, whoever wrote it (`escape_markup`). HTML of our
    own is made of what went through here or `Site._marked`."""
    return escape_markup(value) if type(value) is str else value


async def _static(request: Request) -> Response:
    path = HERE / "static" / Path(request.path_params["name"]).name
    return FileResponse(path) if path.is_file() else Response(status_code=404)


async def fields(request: Request) -> dict[str, str]:
    """Return the fields of a form; none of one that is too long or is no form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return {}
    return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))


def paragraphs(text: str) -> Markup:
    """Return guidelines as HTML: headings, lists and paragraphs of Markdown, everything else as it is written."""
    found = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if block.startswith("#"):
            found.append(Markup("<h2>{}</h2>").format(block.lstrip("# ")))
        elif all(line.startswith("- ") for line in lines):
            items = Markup("").join(Markup("<li>{}</li>").format(line[2:]) for line in lines)
            found.append(Markup("<ul>{}</ul>").format(items))
        else:
            found.append(Markup("<p>{}</p>").format(block))
    return Markup("").join(found)
