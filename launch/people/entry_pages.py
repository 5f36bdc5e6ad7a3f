"""What comes before a judge's first debate: links and recruiting sites, consent, tags, guidelines and questions.

Also what all pages of a judge have: warnings and replies at the top, and a form to write to the researchers.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rostrum.launch.people import access, care, comprehension, judging, outside
from rostrum.launch.people.site import LARGEST, Form, Site, fields, paragraphs
from rostrum.rewards.people import controls, mail, pay, places, quality
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.trainer.config.people import People


class EntryPages(Site):
    """The way in."""

    def __init__(self, study: Path, people: People, secure: bool = False, now: Callable[[], float] = time.time) -> None:
        """Make it.

        Raises:
            StudyError: the secret of the recruiting site's events cannot be read, or others can read it.
        """
        super().__init__(study, people, secure, now)
        self._site_secret = outside.secret_of(people.outside) if people.outside.open else None

    def entries(self) -> Sequence[Route]:
        """Return the pages before the first debate."""
        return [
            Route("/join/{token}", self._join, methods=["GET", "POST"]),
            Route("/outside", self._outside, methods=["GET", "POST"]),
            Route("/outside/webhook", self._webhook, methods=["POST"]),
            Route("/profile", self._profile, methods=["POST"]),
            Route("/guidelines", self._guidelines, methods=["POST"]),
            Route("/comprehension", self._comprehension, methods=["POST"]),
        ]

    def entry(self, db: Any, session: str, judge: Any) -> Response | None:
        """Return the page that a judge sees before any debate; None where all is done."""
        top = self.top(db, session, judge["id"])
        if judge["profiled"] is None:
            given = json.loads(judge["tags"])
            if offered := [(n, tag) for n, tag in enumerate(self.people.profile) if tag not in given]:
                title, csrf = self.words["profile_title"], self.token(session)
                return self.page("profile.html.j2", title, offered=offered, csrf=csrf, **top)
            if not self._described(db, judge["id"], given):
                return RedirectResponse("/", 303)
        newest = db.execute("SELECT * FROM guidelines ORDER BY version DESC LIMIT 1").fetchone()
        read = [v for (v,) in db.execute("SELECT version FROM acknowledged WHERE judge = ?", (judge["id"],))]
        guidelines = paragraphs(newest["text"]) + self._rules(bool(comprehension.kept(db)))
        begun = places.has_open(db, judge["id"], self.now())  # is finished under the guidelines it was begun under
        if newest["version"] not in read and not begun:
            return self.form(
                session,
                title=self.words["guidelines_title"],
                html=guidelines,
                notice=self.words["guidelines_new"] if read else "",
                action="/guidelines",
                hidden={"version": str(newest["version"])},
                button=self.words["guidelines_read"],
                **top,
            )
        if (asked := comprehension.asked(db, judge["id"])) is not None:
            return self.page(
                "comprehension.html.j2",
                self.words["comprehension_title"],
                asked=asked,
                attempts=comprehension.ATTEMPTS,
                html=guidelines,
                csrf=self.token(session),
                **top,
            )
        return None

    def top(self, db: Any, session: str, judge: str, place: str = "") -> dict[str, Any]:
        """Return what all pages of a judge have beside their own: what to tell, and a form for messages."""
        warnings = quality.unread(db, judge)
        return {
            "alerts": [reason for _, reason in warnings],
            "seen": max((number for number, _ in warnings), default=0),
            "replies": [each for each in mail.messages(db, judge) if each.sender == "researcher" and not each.read],
            "write": {"csrf": self.token(session), "place": place, "most": mail.LONGEST},
            "progress": self._progress(db, judge),
        }

    def _progress(self, db: Any, judge: str) -> str:
        """Return how much a judge has done and earned; nothing before the first debate."""
        own = pay.worked(db, judge).get(judge)
        if own is None:
            return ""
        money = f"${pay.dollars(own.seconds, self.people.wage):.2f}"
        return self.words["progress"].format(done=own.verdicts, money=money)

    async def sent(
        self, request: Request, keep: Callable[[Any, str, Form], Response], went_on: bool = True
    ) -> Response:
        """Do what a form of a judge's asks for, if it is one of our pages'; where the judge `went_on` with it, note the
        warnings that it showed as read."""
        session = request.cookies.get(access.SESSION, "")
        form = await fields(request)
        if not self.is_ours(session, form):
            return self.forged()
        with self.connection() as db:
            judge = access.judge_of(db, session, self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            if went_on and re.fullmatch("[1-9][0-9]{0,9}", form.get("seen", "")):
                quality.have_read(db, judge["id"], int(form["seen"]), self.now())
            try:
                return keep(db, judge["id"], form)
            except StudyError as error:
                return self.plain("forged_title", 409, self.told(error))

    def closing(self, db: Any, session: str, judge: Any) -> Response | None:
        """Return the page of a judge who is through, was stopped or has left; who came from a recruiting site is given
        its code, but for visits that were returned there."""
        state, reason = judge["state"], judge["reason"]
        if state not in ("finished", "stopped", "left"):
            return None
        paid = f"{reason or self.words['left_text']} {self.words['stopped_paid']}"
        text = self.words["finished_text"] if state == "finished" else paid
        from_site = db.execute("SELECT outside_id FROM person WHERE judge = ?", (judge["id"],)).fetchone()
        code = ""
        if from_site and from_site["outside_id"] and not (state == "left" and reason):
            code = self.people.outside.finished if state == "finished" else self.people.outside.stopped
        link = self.people.outside.link.replace("{code}", quote(code, safe=""))
        top = self.top(db, session, judge["id"]) | {"alerts": []}  # the end says what they warned of
        return self.page("closing.html.j2", self.words[f"{state}_title"], text=text, code=code, link=link, **top)

    async def _join(self, request: Request) -> Response:
        """Ask for consent, and use the link up once it is given."""
        token, browser = request.path_params["token"], request.cookies.get(access.BROWSER, "")
        if not access.is_link(self.secret, token, self.now()):
            return self.plain("used_title", 410, self.words["expired_text"])
        with self.connection() as db:
            if request.method == "GET":
                if not access.invited(db, token, browser, self.now()):
                    return self.plain("used_title", 410, "")
                page = self._consent(token, f"/join/{token}")
                self._keep(page, access.BROWSER, browser or secrets.token_urlsafe(16), access.AGAIN)
                return page
            form = await fields(request)
            if not self.is_ours(token, form):
                return self.forged()
            try:
                return self._entered(access.consent(db, token, browser, judging.PHASES[0], self.now()))
            except StudyError as error:
                return self.plain("used_title", 410, self.told(error))

    async def _outside(self, request: Request) -> Response:
        """Ask somebody whom a recruiting site sent for consent, and let them in once it is given."""
        if not self.people.outside.open:
            return self.plain("not_found_title", 404, "")
        came = outside.visitor(request.query_params, self.people.outside)
        if came is None:
            return self.plain("used_title", 400, self.words["outside_strange"])
        signed = f"outside:{came[0]}:{came[1]}"
        if request.method == "GET":
            return self._consent(signed, f"/outside?{urlencode(list(request.query_params.multi_items()))}")
        if not self.is_ours(signed, await fields(request)):
            return self.forged()
        with self.connection() as db:
            try:
                return self._entered(access.enter(db, *came, judging.PHASES[0], self.people.judges, self.now()))
            except StudyError as error:
                return self.plain("outside_full_title", 409, self.told(error))

    def _consent(self, signed: str, action: str) -> Response:
        return self.form(
            signed,
            title=self.words["consent_title"],
            text=self.words["consent_text"],
            action=action,
            button=self.words["consent_agree"],
        )

    def _entered(self, session: str) -> Response:
        response = RedirectResponse("/", 303)
        self._keep(response, access.SESSION, session, access.LASTS)
        return response

    def _keep(self, response: Response, cookie: str, value: str, seconds: float) -> None:
        response.set_cookie(cookie, value, max_age=int(seconds), httponly=True, samesite="strict", secure=self.secure)

    async def _webhook(self, request: Request) -> Response:
        """Take an event of the recruiting site, if it is signed."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return Response(status_code=413)
        if self._site_secret is None:
            return Response(status_code=404)
        tolerance = self.people.outside.tolerance_seconds
        if not outside.is_genuine(self._site_secret, request.headers, body, self.now(), tolerance):
            return Response(status_code=401)
        with self.connection() as db:
            try:
                outside.take_event(db, request.headers, body, self.now())
            except StudyError:
                return Response(status_code=400)
        return Response(status_code=204)

    async def _profile(self, request: Request) -> Response:
        """Keep which tags a judge says describe them."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            (given,) = db.execute("SELECT tags FROM judge WHERE id = ?", (judge,)).fetchone()
            chosen = [tag for number, tag in enumerate(self.people.profile) if form.get(f"tag-{number}")]
            self._described(db, judge, list(dict.fromkeys([*json.loads(given), *chosen])))
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    def _described(self, db: Any, judge: str, tags: Sequence[str]) -> bool:
        """Keep a judge's tags, once, and stop who lacks one that the study requires; return whether they may go on."""
        missing = not set(self.people.requires) <= set(tags)
        with transaction(db):
            asked = db.execute(
                "UPDATE judge SET tags = ?, profiled = ? WHERE id = ? AND profiled IS NULL",
                (json.dumps(tags), self.now(), judge),
            )
            if asked.rowcount and missing:
                told = self.words["stopped_requires"].format(tags=", ".join(self.people.requires))
                quality.stop(db, judge, told)
        return not missing

    async def _guidelines(self, request: Request) -> Response:
        """Note that a judge has read the guidelines."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            version = form.get("version", "")
            with transaction(db):
                db.execute(
                    "INSERT OR IGNORE INTO acknowledged SELECT ?, version, ? FROM guidelines WHERE version = ?",
                    (judge, self.now(), int(version) if re.fullmatch("[0-9]{1,9}", version) else -1),
                )
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    async def _comprehension(self, request: Request) -> Response:
        """Take the answers to the questions on the guidelines."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            if controls.is_at_work(db, judge):
                comprehension.answer(db, judge, form, self.now())
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    def _rules(self, with_questions: bool) -> Markup:
        """Return what is checked and what follows, as HTML, whatever the guidelines say."""
        items = Markup("").join(Markup("<li>{}</li>").format(rule) for rule in care.rules(self.people, with_questions))
        return Markup("<h2>{}</h2><ul>{}</ul>").format(self.words["rules_title"], items)
