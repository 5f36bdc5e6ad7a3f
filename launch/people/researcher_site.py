"""The way in to the researcher's pages: a password, sessions that end, and forms that only our pages can send.

Sessions are kept in the memory of the server: after a restart one logs in again. A new password ends them.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rostrum.launch.people import access, password
from rostrum.launch.people.site import Form, Site, fields
from rostrum.rewards.people import controls
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People

ENTRY = "researcher_entry"
"""The cookie of a browser at the login form, which has no session yet."""
LASTS = 12 * 3600.0
"""Seconds from logging in until one logs in again, whatever one does meanwhile."""
TRIES = 10
WITHIN = 900.0
"""So many tries at the password from one address in so many seconds."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A page that is asked for by somebody who is logged in."""

    db: sqlite3.Connection
    session: str
    path: Mapping[str, Any]
    query: Mapping[str, str]
    problem: str = ""
    """Why the form that was sent last was not taken."""
    typed: Form = field(default_factory=dict)
    """What was sent with it."""


Show = Callable[[Visit], Response]
Act = Callable[[Visit, Form], str]
"""Does what a form asks for and returns the path to go on to. A `StudyError` is shown above the form."""


class ResearcherSite(Site):
    """Pages that nobody sees without the study's password."""

    cookie = "researcher"

    def __init__(self, study: Path, people: People, secure: bool = False, now: Callable[[], float] = time.time) -> None:
        super().__init__(study, people, secure, now)
        self.say = cast(dict[str, str], self.words["researcher"])
        self._tries = access.Rates(TRIES, WITHIN, now)
        self._sessions: dict[str, tuple[float, str | None]] = {}  # by hash: when it ends, and the password's hash
        self._templates.globals["say"] = self.say

    def doors(self) -> list[Route]:
        """Return the pages on which one logs in and out."""
        return [
            Route("/login", self._login, methods=["GET", "POST"]),
            self.form_route("/logout", self._logout, lambda visit: RedirectResponse("/login", 303)),
        ]

    def page_route(self, path: str, show: Show) -> Route:
        """Return a page for those who are logged in; it is made in a thread, so that others need not wait."""

        def endpoint(request: Request) -> Response:
            session = request.cookies.get(self.cookie, "")
            with self.connection() as db:
                if not self._is_in(db, session):
                    return RedirectResponse("/login", 303)
                return show(Visit(db, session, request.path_params, request.query_params))

        return Route(path, endpoint)

    def form_route(self, path: str, act: Act, show: Show) -> Route:
        """Return what takes a form of a page for those who are logged in; `show` makes that page again if the form
        cannot be taken."""

        async def endpoint(request: Request) -> Response:
            form = await fields(request)
            return await run_in_threadpool(take, request, form)

        def take(request: Request, form: Form) -> Response:
            session = request.cookies.get(self.cookie, "")
            with self.connection() as db:
                if not self._is_in(db, session):
                    return RedirectResponse("/login", 303)
                if not self.is_ours(session, form):
                    return self.forged()
                visit = Visit(db, session, request.path_params, request.query_params)
                try:
                    return RedirectResponse(act(visit, form), 303)
                except StudyError as error:
                    response = show(replace(visit, problem=self.told(error), typed=form))
                    response.status_code = 422
                    return response

        return Route(path, endpoint, methods=["POST"])

    def shown(self, visit: Visit, template: str, title: str, **context: Any) -> Response:
        """Return a page with the menu around it; the title is a key of the researcher's words, or a text."""
        (unread,) = visit.db.execute("SELECT count(*) FROM message WHERE sender = 'judge' AND read IS NULL").fetchone()
        return self.page(
            f"researcher/{template}.html.j2",
            self.say.get(title, title),
            csrf=self.token(visit.session),
            problem=visit.problem,
            typed=visit.typed,
            unread=unread,
            paused=controls.is_paused(visit.db),
            **context,
        )

    async def _login(self, request: Request) -> Response:
        entry = request.cookies.get(ENTRY, "")
        if request.method == "GET":
            return self._door(entry or secrets.token_urlsafe(24))
        form = await fields(request)
        if not entry or not self.is_ours(entry, form):
            return self.forged()
        if not self._tries.allow(request.client.host if request.client else ""):
            return self._door(entry, "too_many", 429)
        session = await run_in_threadpool(self._enter, form.get("password", ""))
        if session is None:
            return self._door(entry, "wrong", 403)
        response = RedirectResponse("/", 303)
        response.delete_cookie(ENTRY)
        response.set_cookie(self.cookie, session, int(LASTS), httponly=True, samesite="strict", secure=self.secure)
        return response

    def _door(self, entry: str, problem: str = "", status: int = 200) -> Response:
        told = self.say[problem] if problem else ""
        response = self.page(
            "researcher/login.html.j2", self.say["login"], status, csrf=self.token(entry), problem=told
        )
        response.set_cookie(ENTRY, entry, 3600, httponly=True, samesite="strict", secure=self.secure)
        return response

    def _enter(self, given: str) -> str | None:
        """Return a new session if this is the password."""
        with self.connection() as db:
            if not password.is_right(db, given):
                return None
            session, now = secrets.token_urlsafe(32), self.now()
            self._sessions = {key: of for key, of in self._sessions.items() if of[0] > now}
            self._sessions[access.hashed(session)] = now + LASTS, password.kept(db)
        return session

    def _is_in(self, db: sqlite3.Connection, session: str) -> bool:
        until, of = self._sessions.get(access.hashed(session), (0.0, None))
        return until > self.now() and of is not None and of == password.kept(db)

    def _logout(self, visit: Visit, form: Form) -> str:
        self._sessions.pop(access.hashed(visit.session), None)
        return "/login"
