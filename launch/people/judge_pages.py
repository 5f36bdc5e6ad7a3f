"""The judges' pages: consent, guidelines, debates, feedback and survey.

Nothing that is served says which answer is right, who argued or under which condition: pages are made from `Item`s
alone (`rostrum.launch.people.judging`). Each request opens a connection of its own, and everything is checked here,
whatever a browser may have checked before.
"""

import json
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rostrum.envs.types import Speech
from rostrum.launch.people import access, judging
from rostrum.launch.people.judging import FormError, Item
from rostrum.launch.people.site import Form, Site, fields, paragraphs
from rostrum.rewards.people import controls, pay, places, verdicts
from rostrum.rewards.people.database import StudyError, transaction


class JudgePages(Site):
    """What judges see of a study."""

    def routes(self) -> Sequence[Route]:
        return [
            Route("/", self._home),
            Route("/join/{token}", self._join, methods=["GET", "POST"]),
            Route("/guidelines", self._guidelines, methods=["POST"]),
            Route("/judge", self._judge, methods=["POST"]),
            Route("/draft", self._draft, methods=["POST"]),
            Route("/feedback/{token}", self._feedback),
            Route("/survey", self._survey, methods=["POST"]),
            Route("/leave", self._leave, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        """Show what the judge is to do now."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            session = request.cookies[access.SESSION]
            if (page := self._closing(judge)) is not None:
                return page
            newest = db.execute("SELECT * FROM guidelines ORDER BY version DESC LIMIT 1").fetchone()
            begun = places.has_open(db, judge["id"], self.now())  # is finished under the guidelines it was begun under
            read = [v for (v,) in db.execute("SELECT version FROM acknowledged WHERE judge = ?", (judge["id"],))]
            if newest["version"] not in read and not begun:
                return self.form(
                    session,
                    title=self.words["guidelines_title"],
                    html=paragraphs(newest["text"]),
                    notice=self.words["guidelines_new"] if read else "",
                    action="/guidelines",
                    hidden={"version": str(newest["version"])},
                    button=self.words["guidelines_read"],
                )
            try:
                item = judging.next_item(db, judge["id"], self.people, self.now())
            except places.PausedError:
                return self.plain("paused_title", 200, self.words["paused_text"])
            if item is not None:
                return self._debate(session, item, self._progress(db, judge["id"]))
            judge = access.judge_of(db, session, self.now())
            assert judge is not None
            if (page := self._closing(judge)) is not None:
                return page
            return self.form(
                session,
                title=self.words["survey_title"],
                box=self.words["survey_text"],
                action="/survey",
                button=self.words["survey_send"],
            )

    async def _join(self, request: Request) -> Response:
        """Ask for consent, and use the link up once it is given."""
        token = request.path_params["token"]
        with self.connection() as db:
            if request.method == "GET":
                if not access.invited(db, token):
                    return self.plain("used_title", 410, "")
                return self.form(
                    token,
                    title=self.words["consent_title"],
                    text=self.words["consent_text"],
                    action=f"/join/{token}",
                    button=self.words["consent_agree"],
                )
            form = await fields(request)
            if not self.is_ours(token, form):
                return self.forged()
            try:
                session = access.consent(db, token, judging.PHASES[0], self.now())
            except StudyError as error:
                return self.plain("used_title", 410, str(error))
        response = RedirectResponse("/", 303)
        response.set_cookie(
            access.SESSION, session, max_age=int(access.LASTS), httponly=True, samesite="strict", secure=self.secure
        )
        return response

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

        return await self._sent(request, keep)

    async def _judge(self, request: Request) -> Response:
        """Keep a probability after a round, or a verdict."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            token = form.get("place", "")
            if not controls.is_at_work(db, judge):
                return RedirectResponse("/", 303)  # where it says why
            try:
                done = judging.take_form(db, judge, token, form, self.people, self.now())
            except FormError as error:
                item = judging.item_of(db, judge, token, self.people, self.now())
                session = request.cookies[access.SESSION]
                return self._debate(session, item, self._progress(db, judge), str(error), form, 422)
            training = done == "verdict" and judging.item_of(db, judge, token, self.people, self.now())
            if training and training.phase == "training":
                return RedirectResponse(f"/feedback/{token}", 303)
            return RedirectResponse("/", 303)

        return await self._sent(request, keep)

    async def _draft(self, request: Request) -> Response:
        """Keep what is typed, and the debate with its judge for longer."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            place = judging.item_of(db, judge, form.get("place", ""), self.people, self.now()).place
            kept = {name: form[name] for name in ("p", "explanation") if name in form}
            verdicts.save_draft(db, judge, place.id, kept, self.now())
            places.extend(db, place.id, self.now(), self.people.place_minutes * 60)
            return Response(status_code=204)

        return await self._sent(request, keep)

    async def _feedback(self, request: Request) -> Response:
        """Tell a judge in training whether the verdict was right."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            try:
                told = judging.feedback(db, judge["id"], request.path_params["token"])
            except StudyError:
                return self.plain("not_found_title", 404, "")
        right = self.words["feedback_right" if told.right else "feedback_wrong"]
        answer = self.words["feedback_answer"].format(answer=told.answer)
        return self.page("feedback.html.j2", self.words["feedback_title"], right=right, answer=answer)

    async def _survey(self, request: Request) -> Response:
        """Keep what a judge says at the end."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            with transaction(db):
                db.execute(
                    "INSERT OR IGNORE INTO survey VALUES (?, ?, ?)",
                    (judge, json.dumps({"text": form.get("text", "")}), self.now()),
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
        form = await fields(request)
        if not self.is_ours(session, form):
            return self.forged()
        with self.connection() as db:
            judge = access.judge_of(db, session, self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            try:
                return keep(db, judge["id"], form)
            except StudyError as error:
                return self.plain("forged_title", 409, str(error))

    def _closing(self, judge: Any) -> Response | None:
        """Return the page of a judge who is through, was stopped or has left."""
        if judge["state"] == "finished":
            return self.plain("finished_title", 200, self.words["finished_text"])
        if judge["state"] == "stopped":
            return self.plain("stopped_title", 200, f"{judge['reason']} {self.words['stopped_paid']}")
        if judge["state"] == "left":
            return self.plain("left_title", 200, self.words["stopped_paid"])
        return None

    def _progress(self, db: Any, judge: str) -> str:
        """Return how much a judge has done and earned."""
        done, seconds = pay.worked(db, judge).get(judge, (0, 0.0))
        return self.words["progress"].format(done=done, money=f"${pay.dollars(seconds, self.people.wage):.2f}")

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
        return self.page(
            "debate.html.j2",
            f"{self.words[item.phase]}: {self.words['item'].format(number=item.number)}",
            status,
            progress=progress,
            item=item,
            problem=problem,
            values={"p": given.get("p", ""), "explanation": given.get("explanation", "")},
            probabilities=self.people.probabilities,
            least=self.people.words,
            csrf=self.token(session),
            key=secrets.token_urlsafe(16),
            label=lambda speech: _label(speech, len(speakers)),
        )


def _label(speech: Speech, speakers: int) -> str:
    return speech.side if speakers <= 2 else f"{speech.side} ({speech.speaker})"
