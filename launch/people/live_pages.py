"""What live debates add to the judges' pages: a look whether the debaters have answered, and a way on without them."""

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from rostrum.launch.people import access, judging
from rostrum.launch.people.entry_pages import EntryPages
from rostrum.launch.people.site import Form
from rostrum.rewards.people import live
from rostrum.rewards.people.database import StudyError


class LivePages(EntryPages):
    """What happens while a judge waits."""

    def waits(self) -> Sequence[Route]:
        """Return these routes."""
        return [Route("/waiting/{token}", self._look), Route("/go-on", self._go_on, methods=["POST"])]

    async def _look(self, request: Request) -> Response:
        """Tell a page's script whether to load the page again: "waiting", "late", or "ready"."""
        with self.connection() as db:
            judge = access.judge_of(db, request.cookies.get(access.SESSION), self.now())
            if judge is None:
                return self.plain("no_link_title", 401, self.words["no_link_text"])
            try:
                item = judging.item_of(db, judge["id"], request.path_params["token"], self.people, self.now())
            except StudyError:
                return self.plain("not_found_title", 404, "")
        state = "ready" if item.waiting is None else "late" if item.waiting.late else "waiting"
        return PlainTextResponse(state)

    async def _go_on(self, request: Request) -> Response:
        """End a debate whose next round has not come in time."""

        def keep(db: Any, judge: str, form: Form) -> Response:
            place = judging.item_of(db, judge, form.get("place", ""), self.people, self.now()).place
            if re.fullmatch("[0-9]{1,4}", form.get("round", "")):
                live.give_up(db, place.id, int(form["round"]), self.now(), self.people.live_seconds)
            return RedirectResponse("/", 303)

        return await self.sent(request, keep)
