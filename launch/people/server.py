"""The judges' pages as a web application (Starlette): routes, sessions, and what every answer carries.

Nothing that is served says which answer is right, who argued or under which condition: pages are made from `Item`s
alone (`rostrum.launch.people.judging`). Each request opens a connection of its own, and everything is checked here,
whatever a browser may have checked before.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from rostrum.envs.files import write_atomically
from rostrum.envs.types import Speech
from rostrum.launch.people import access, judging
from rostrum.launch.people.judging import FormError, Item
from rostrum.rewards.people import database, places, verdicts
from rostrum.rewards.people.database import StudyError, transaction
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
_QUOTE = re.compile(r"<([vu])_quote>(.*?)</\1_quote>", re.DOTALL)
Form = Mapping[str, str]


class Pages:
    """The application of one study."""

    def __init__(self, study: Path, people: People, secure: bool = False, now: Callable[[], float] = time.time) -> None:
        """Make it. `secure` says that browsers reach it by https."""
        self._study, self._people, self._secure, self._now = study, people, secure, now
        self._secret = _secret(study)
        self._rates = access.Rates(240, 60.0)
        self._words: dict[str, str] = yaml.safe_load((HERE / "words.yaml").read_text("utf-8"))
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals |= {"words": self._words, "marked": self._marked}

    def application(self) -> Starlette:
        """Return what a server runs."""
        routes = [
            Route("/", self._home),
            Route("/join/{token}", self._join, methods=["GET", "POST"]),
            Route("/guidelines", self._guidelines, methods=["POST"]),
            Route("/judge", self._judge, methods=["POST"]),
            Route("/draft", self._draft, methods=["POST"]),
            Route("/feedback/{token}", self._feedback),
            Route("/survey", self._survey, methods=["POST"]),
            Route("/leave", self._leave, methods=["POST"]),
            Route("/static/{name}", _static),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guard)],
            exception_handlers={404: self._not_found, 405: self._not_found},
        )

    async def _guard(self, request: Request, go_on: RequestResponseEndpoint) -> Response:
        """Refuse more than so many requests of one sender, and put our headers on every answer."""
        sender = request.cookies.get(access.SESSION) or (request.client.host if request.client else "")
        if self._rates.allow(access.hashed(sender)):
            response = await go_on(request)
        else:
            response = self._plain("too_many_title", 429, self._words["too_many_text"])
        response.headers.update(HEADERS)
        return response

    async def _home(self, request: Request) -> Response:
        """Show what the judge is to do now."""
        with _connection(self._study) as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self._now())
            if judge is None:
                return self._plain("no_link_title", 401, self._words["no_link_text"])
            session = request.cookies[access.SESSION]
            if (page := self._closing(judge)) is not None:
                return page
            newest = db.execute("SELECT * FROM guidelines ORDER BY version DESC LIMIT 1").fetchone()
            read = [v for (v,) in db.execute("SELECT version FROM acknowledged WHERE judge = ?", (judge["id"],))]
            if newest["version"] not in read:
                return self._form(
                    session,
                    title=self._words["guidelines_title"],
                    html=_paragraphs(newest["text"]),
                    notice=self._words["guidelines_new"] if read else "",
                    action="/guidelines",
                    hidden={"version": str(newest["version"])},
                    button=self._words["guidelines_read"],
                )
            item = judging.next_item(db, judge["id"], self._people, self._now())
            if item is not None:
                return self._debate(session, item, self._progress(db, judge["id"]))
            judge = access.judge_of(db, session, self._now())
            assert judge is not None
            if (page := self._closing(judge)) is not None:
                return page
            return self._form(
                session,
                title=self._words["survey_title"],
                box=self._words["survey_text"],
                action="/survey",
                button=self._words["survey_send"],
            )

    async def _join(self, request: Request) -> Response:
        """Ask for consent, and use the link up once it is given."""
        token = request.path_params["token"]
        with _connection(self._study) as db:
            if request.method == "GET":
                if not access.invited(db, token):
                    return self._plain("used_title", 410, "")
                return self._form(
                    token,
                    title=self._words["consent_title"],
                    text=self._words["consent_text"],
                    action=f"/join/{token}",
                    button=self._words["consent_agree"],
                )
            form = await _fields(request)
            if not access.is_form_token(self._secret, token, form.get("csrf", "")):
                return self._forged()
            try:
                session = access.consent(db, token, judging.PHASES[0], self._now())
            except StudyError as error:
                return self._plain("used_title", 410, str(error))
        response = RedirectResponse("/", 303)
        response.set_cookie(
            access.SESSION, session, max_age=int(access.LASTS), httponly=True, samesite="strict", secure=self._secure
        )
        return response

    async def _guidelines(self, request: Request) -> Response:
        """Note that a judge has read the guidelines."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            version = form.get("version", "")
            with transaction(db):
                db.execute(
                    "INSERT OR IGNORE INTO acknowledged SELECT ?, version, ? FROM guidelines WHERE version = ?",
                    (judge, self._now(), int(version) if re.fullmatch("[0-9]{1,9}", version) else -1),
                )
            return RedirectResponse("/", 303)

        return await self._sent(request, keep)

    async def _judge(self, request: Request) -> Response:
        """Keep a probability after a round, or a verdict."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            token = form.get("place", "")
            try:
                done = judging.take_form(db, judge, token, form, self._people, self._now())
            except FormError as error:
                item = judging.item_of(db, judge, token, self._people, self._now())
                session = request.cookies[access.SESSION]
                return self._debate(session, item, self._progress(db, judge), str(error), form, 422)
            training = done == "verdict" and judging.item_of(db, judge, token, self._people, self._now())
            if training and training.phase == "training":
                return RedirectResponse(f"/feedback/{token}", 303)
            return RedirectResponse("/", 303)

        return await self._sent(request, keep)

    async def _draft(self, request: Request) -> Response:
        """Keep what is typed, and the debate with its judge for longer."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            place = judging.item_of(db, judge, form.get("place", ""), self._people, self._now()).place
            kept = {name: form[name] for name in ("p", "explanation") if name in form}
            verdicts.save_draft(db, judge, place.id, kept, self._now())
            places.extend(db, place.id, self._now(), self._people.place_minutes * 60)
            return Response(status_code=204)

        return await self._sent(request, keep)

    async def _feedback(self, request: Request) -> Response:
        """Tell a judge in training whether the verdict was right."""
        with _connection(self._study) as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self._now())
            if judge is None:
                return self._plain("no_link_title", 401, self._words["no_link_text"])
            try:
                told = judging.feedback(db, judge["id"], request.path_params["token"])
            except StudyError:
                return self._plain("not_found_title", 404, "")
        right = self._words["feedback_right" if told.right else "feedback_wrong"]
        page = self._templates.get_template("feedback.html.j2").render(
            title=self._words["feedback_title"],
            progress="",
            right=right,
            answer=self._words["feedback_answer"].format(answer=told.answer),
        )
        return HTMLResponse(page)

    async def _survey(self, request: Request) -> Response:
        """Keep what a judge says at the end."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            with transaction(db):
                db.execute(
                    "INSERT OR IGNORE INTO survey VALUES (?, ?, ?)",
                    (judge, json.dumps({"text": form.get("text", "")}), self._now()),
                )
                db.execute("UPDATE judge SET state = 'finished' WHERE id = ? AND state = 'survey'", (judge,))
            return RedirectResponse("/", 303)

        return await self._sent(request, keep)

    async def _leave(self, request: Request) -> Response:
        """Let a judge go, and put the debate back."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            places.give_back(db, judge)
            with transaction(db):
                db.execute("UPDATE judge SET state = 'left' WHERE id = ?", (judge,))
            return RedirectResponse("/", 303)

        return await self._sent(request, keep)

    async def _sent(self, request: Request, keep: Callable[[Any, str, Form], Response]) -> Response:
        """Do what a form of a judge's asks for, if it is one of our pages' and the judge still judges."""
        session = request.cookies.get(access.SESSION, "")
        form = await _fields(request)
        if not access.is_form_token(self._secret, session, form.get("csrf", "")):
            return self._forged()
        with _connection(self._study) as db:
            judge = access.judge_of(db, session, self._now())
            if judge is None:
                return self._plain("no_link_title", 401, self._words["no_link_text"])
            try:
                return keep(db, judge["id"], form)
            except StudyError as error:
                return self._plain("forged_title", 409, str(error))

    def _closing(self, judge: Any) -> Response | None:
        """Return the page of a judge who is through, was stopped or has left."""
        if judge["state"] == "finished":
            return self._plain("finished_title", 200, self._words["finished_text"])
        if judge["state"] == "stopped":
            return self._plain("stopped_title", 200, f"{judge['reason']} {self._words['stopped_paid']}")
        if judge["state"] == "left":
            return self._plain("left_title", 200, self._words["stopped_paid"])
        return None

    def _progress(self, db: Any, judge: str) -> str:
        """Return how much a judge has done and earned."""
        done, seconds = db.execute(
            "SELECT count(*), coalesce(sum(coalesce(v.active, v.on_page) + (SELECT coalesce(sum(coalesce(s.active, "
            "s.on_page)), 0) FROM step s WHERE s.place = p.id)), 0) FROM verdict v JOIN place p ON p.id = v.place "
            "WHERE p.judge = ?",
            (judge,),
        ).fetchone()
        return self._words["progress"].format(done=done, money=f"${seconds / 3600 * self._people.wage:.2f}")

    def _debate(
        self,
        session: str,
        item: Item,
        progress: str,
        problem: str = "",
        values: Form | None = None,
        status: int = 200,
    ) -> Response:
        given = values if values is not None else item.draft
        speakers = {speech.speaker for _, said in item.rounds for speech in said}
        page = self._templates.get_template("debate.html.j2").render(
            title=f"{self._words[item.phase]}: {self._words['item'].format(number=item.number)}",
            progress=progress,
            item=item,
            problem=problem,
            values={"p": given.get("p", ""), "explanation": given.get("explanation", "")},
            probabilities=self._people.probabilities,
            least=self._people.words,
            csrf=access.form_token(self._secret, session),
            key=secrets.token_urlsafe(16),
            label=lambda speech: _label(speech, len(speakers)),
        )
        return HTMLResponse(page, status)

    def _form(self, session: str, *, title: str, action: str, button: str, **more: Any) -> Response:
        context = {"notice": "", "html": "", "text": "", "box": "", "hidden": {}, "progress": ""} | more
        page = self._templates.get_template("form.html.j2").render(
            title=title, action=action, button=button, csrf=access.form_token(self._secret, session), **context
        )
        return HTMLResponse(page)

    def _plain(self, title: str, status: int, text: str) -> Response:
        page = self._templates.get_template("base.html.j2").render(title=self._words[title], progress="", text=text)
        return HTMLResponse(page, status)

    def _forged(self) -> Response:
        return self._plain("forged_title", 403, self._words["forged_text"])

    async def _not_found(self, request: Request, error: Exception) -> Response:
        return self._plain("not_found_title", 404, "")

    def _marked(self, text: str) -> Markup:
        """Return a speech as HTML: its quotes marked as verified or not, everything else escaped."""
        parts, end = [], 0
        for found in _QUOTE.finditer(text):
            kind, sign, word = ("found", "✓", "verified") if found[1] == "v" else ("missing", "✗", "unverified")
            parts += [
                escape(text[end : found.start()]),
                Markup('<mark class="{}" data-sign="{}">{}<span class="hidden"> ({})</span></mark>').format(
                    kind, sign, found[2], self._words[word]
                ),
            ]
            end = found.end()
        return Markup("").join([*parts, escape(text[end:])])


def _label(speech: Speech, speakers: int) -> str:
    return speech.side if speakers <= 2 else f"{speech.side} ({speech.speaker})"


class _connection:
    """A connection to the study's database for one request."""

    def __init__(self, study: Path) -> None:
        self._study = study

    def __enter__(self) -> Any:
        self._open = database.connect(self._study)
        return self._open

    def __exit__(self, *_: object) -> None:
        self._open.close()


async def _static(request: Request) -> Response:
    path = HERE / "static" / Path(request.path_params["name"]).name
    return FileResponse(path) if path.is_file() else Response(status_code=404)


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a form; none of one that is too long or is no form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return {}
    return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))


def _paragraphs(text: str) -> Markup:
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


def _secret(study: Path) -> bytes:
    """Return what forms are signed with, made once and readable by its owner alone."""
    path = study / "secret"
    if not path.exists():
        write_atomically(path, secrets.token_hex(32))
        os.chmod(path, 0o600)
    return path.read_bytes()
