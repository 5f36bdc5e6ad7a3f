"""The judges' pages: consent, guidelines, debates, feedback and survey.

Nothing that is served says which answer is right, who argued or under which condition: pages are made from `Item`s
alone (`rostrum.launch.people.judging`). Each request opens a connection of its own, and everything is checked here,
whatever a browser may have checked before.
"""

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rostrum.envs.types import Speech
from rostrum.launch.people import access, judging
from rostrum.launch.people.judging import TYPED, FormError, Item
from rostrum.launch.people.live_pages import LivePages
from rostrum.launch.people.site import Form
from rostrum.rewards.people import controls, mail, places
from rostrum.rewards.people.database import StudyError, transaction

MESSAGES_AN_HOUR = 20


class JudgePages(LivePages):
    """What judges see of a study."""

    def routes(self) -> Sequence[Route]:
        return [
            Route("/", self._home),
            *self.entries(),
            *self.waits(),
            Route("/judge", self._judge, methods=["POST"]),
            Route("/draft", self._draft, methods=["POST"]),
            Route("/feedback/{token}", self._feedback),
            Route("/survey", self._survey, methods=["POST"]),
            Route("/leave", self._leave, methods=["POST"]),
            Route("/messages", self._messages),
            Route("/messages", self._write, methods=["POST"]),
            Route("/messages/read", self._read, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        """Show what the judge is to do now."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            session = request.cookies[access.SESSION]
            page = self.closing(db, session, judge) or self.entry(db, session, judge)
            if page is not None:
                return page
            try:
                item = judging.next_item(db, judge["id"], self.people, self.now())
            except places.PausedError:
                top = self.top(db, session, judge["id"])
                return self.page("paused.html.j2", self.words["paused_title"], text=self.words["paused_text"], **top)
            if item is not None:
                return self._debate(db, session, judge["id"], item)
            judge = access.judge_of(db, session, self.now())
            assert judge is not None
            if (page := self.closing(db, session, judge)) is not None:
                return page
            return self.form(
                session,
                title=self.words["survey_title"],
                box=self.words["survey_text"],
                action="/survey",
                button=self.words["survey_send"],
                **self.top(db, session, judge["id"]),
            )

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
                return self._debate(db, request.cookies[access.SESSION], judge, item, str(error), form, 422)
            if done == "verdict" and judging.feedback(db, judge, token, self.people) is not None:
                return RedirectResponse(f"/feedback/{token}", 303)
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    async def _draft(self, request: Request) -> Response:
        """Keep what is typed, and the debate with its judge for longer."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            if controls.is_at_work(db, judge):  # a tab that stays open after the end adds nothing to what is paid
                judging.keep_draft(db, judge, form, self.people, self.now())
            return Response(status_code=204)

        return await self.sent(request, keep, went_on=False)

    async def _feedback(self, request: Request) -> Response:
        """Tell a judge whether the verdict was right, where the study does."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            token = request.path_params["token"]
            try:
                told = judging.feedback(db, judge["id"], token, self.people)
            except StudyError:
                told = None
            if told is None:
                return self.plain("not_found_title", 404, "")
            top = self.top(db, request.cookies[access.SESSION], judge["id"], token)
        right = self.words["feedback_right" if told.right else "feedback_wrong"]
        answer = self.words["feedback_answer"].format(answer=told.answer)
        return self.page("feedback.html.j2", self.words["feedback_title"], right=right, answer=answer, **top)

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

        return await self.sent(request, keep)

    async def _leave(self, request: Request) -> Response:
        """Let a judge go, and put the debate back."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            judging.leave(db, judge, form, self.people, self.now())
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    async def _messages(self, request: Request) -> Response:
        """Show what a judge and the researchers have written to each other."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            return self._thread(db, request.cookies[access.SESSION], judge["id"])

    async def _write(self, request: Request) -> Response:
        """Keep what a judge writes to the researchers, perhaps about a debate."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            since = self.now() - 3600
            own = [each for each in mail.messages(db, judge) if each.sender == "judge" and each.at > since]
            text, problem = form.get("message", "").replace("\r\n", "\n").strip(), ""
            if not text:
                problem = self.words["message_empty"]
            elif len(text) > mail.LONGEST:
                problem = self.words["message_long"].format(most=mail.LONGEST)
            elif len(own) >= MESSAGES_AN_HOUR:
                problem = self.words["message_often"].format(most=MESSAGES_AN_HOUR)
            if problem:
                return self._thread(db, request.cookies[access.SESSION], judge, problem, text, 422)
            token = form.get("place", "")
            found = db.execute("SELECT id FROM place WHERE token = ? AND judge = ?", (token, judge)).fetchone()
            mail.send(db, judge, "judge", text, self.now(), found and found["id"])
            return RedirectResponse("/messages", 303)

        return await self.sent(request, keep)

    async def _read(self, request: Request) -> Response:
        """Note that a judge has read the replies that were on a page."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            until = form.get("until", "")
            if re.fullmatch("[0-9]{1,15}", until):
                mail.mark_read(db, judge, "researcher", self.now(), int(until))
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)

    def _thread(
        self, db: Any, session: str, judge: str, problem: str = "", text: str = "", status: int = 200
    ) -> Response:
        top = self.top(db, session, judge)
        context = {**top, "replies": [], "unread": top["replies"]}  # they stand in the thread
        thread, title = mail.messages(db, judge), self.words["messages_title"]
        return self.page("messages.html.j2", title, status, thread=thread, problem=problem, text=text, **context)

    def _debate(
        self,
        db: Any,
        session: str,
        judge: str,
        item: Item,
        problem: str = "",
        values: Form | None = None,
        status: int = 200,
    ) -> Response:
        given = values if values is not None else item.draft.fields
        speakers = {speech.speaker for _, said in item.rounds for speech in said}
        return self.page(
            "debate.html.j2",
            f"{self.words[item.phase]}: {self.words['item'].format(number=item.number)}",
            status,
            item=item,
            problem=problem,
            values={name: given.get(name, "") for name in TYPED},
            probabilities=self.people.probabilities,
            scales=self.people.scales,
            ratings=judging.RATINGS,
            least=self.people.words,
            characters=self.people.inquiry_characters,
            csrf=self.token(session),
            key=secrets.token_urlsafe(16),
            label=lambda speech: _label(speech, len(speakers)),
            **self.top(db, session, judge, item.place.token),
        )


def _label(speech: Speech, speakers: int) -> str:
    return speech.side if speakers <= 2 else f"{speech.side} ({speech.speaker})"
