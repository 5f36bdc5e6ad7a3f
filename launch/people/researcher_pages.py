"""The researcher's pages: how far a study is, who judges how, what is worth a look, and what can be done about it."""

import difflib
import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from rostrum.envs import transcripts
from rostrum.envs.types import Transcript
from rostrum.launch.people.researcher_site import ResearcherSite, Visit
from rostrum.launch.people.site import Form
from rostrum.rewards.people import controls, live, mail
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import rounds_of
from rostrum.rewards.statistics import Interval
from rostrum.trainer.evaluation.people import double_check, given, overview, persons, queued, results, worth_a_look
from rostrum.trainer.evaluation.people.double_check import Agreement
from rostrum.trainer.evaluation.people.results import Results

EVERY = 30
"""Seconds after which a browser loads the overview anew."""


class ResearcherPages(ResearcherSite):
    """What researchers see of a study, and do to it."""

    _known: tuple[Any, tuple[Results, Sequence[Agreement]]] | None = None
    """The results, and of which verdicts: they take a second, and a page that reloads asks for them again and again."""

    def routes(self) -> Sequence[Route]:
        self._templates.globals |= {"percent": percent, "within": within, "when": when, "number": number}
        return [
            *self.doors(),
            self.page_route("/", self._overview),
            self.page_route("/judges", self._judges),
            self.page_route("/judges/{judge}", self._judge),
            self.form_route("/judges/{judge}/message", self._write, self._judge),
            self.form_route("/judges/{judge}/note", self._note_judge, self._judge),
            self.form_route("/judges/{judge}/stop", self._stop, self._judge),
            self.form_route("/judges/{judge}/back", self._let_back, self._judge),
            self.page_route("/debates", self._debates),
            self.page_route("/debates/{debate:int}", self._debate),
            self.form_route("/debates/{debate:int}/note", self._note_debate, self._debate),
            self.form_route("/debates/{debate:int}/decision", self._decide, self._debate),
            self.page_route("/queue", self._queue),
            self.page_route("/look", self._look),
            self.page_route("/parted", self._parted),
            self.page_route("/agreement", self._agreement),
            self.page_route("/guidelines", self._guidelines),
            self.form_route("/guidelines", self._new_guidelines, self._guidelines),
            self.page_route("/messages", self._messages),
            self.form_route("/messages", self._write_to, self._messages),
            self.form_route("/pause", self._pause, self._overview),
            self.form_route("/resume", self._resume, self._overview),
        ]

    def _overview(self, visit: Visit) -> Response:
        """Show how far the study is, what it cost, and what came out so far; load it anew unless told not to."""
        every, still = given.read(visit.db), "still" in visit.query
        found, checked = self._results(visit.db)
        progress = overview.progress(visit.db)
        order = [row.condition for row in progress if row.phase == "main"]
        response = self.shown(
            visit,
            "overview",
            "overview",
            live=not still,
            progress=progress,
            days=overview.per_day(every),
            at_work=overview.at_work(visit.db, self.now()),
            cost=overview.cost(visit.db, every, self.people),
            alarm=overview.alarm([of.n for of in found.by_judge.values()], self.people.busiest_fifth),
            found=found,
            conditions=sorted(found.by_condition.items(), key=lambda item: order.index(item[0])),
            checked=checked,
            checks=self.people.check,
            changes=overview.changes(visit.db, every),
            first=overview.FIRST_VERDICTS,
            decided=worth_a_look.beside_people(worth_a_look.decided(visit.db, every)),
            now=self.now(),
        )
        if not still:
            response.headers["Refresh"] = str(EVERY)
        return response

    def _results(self, db: sqlite3.Connection) -> tuple[Results, Sequence[Agreement]]:
        """Return what came out, and how far people agree with the model that they check."""
        state = tuple(db.execute("SELECT count(*), total(v.at), total(v.place) FROM verdict v").fetchone())
        if self._known is None or self._known[0] != state:
            judged = results.read(db)
            agreement = double_check.agreement(judged, double_check.read(db))
            self._known = state, (results.results(judged), agreement)
        return self._known[1]

    def _judges(self, visit: Visit) -> Response:
        """List the judges."""
        found = persons.persons(visit.db, given.read(visit.db), self.people)
        return self.shown(visit, "judges", "judges", persons=found)

    def _judge(self, visit: Visit) -> Response:
        """Show one judge, and note that the messages on the page were opened."""
        judge = visit.path["judge"]
        every = given.read(visit.db)
        found = {each.judge: each for each in persons.persons(visit.db, every, self.people)}
        if judge not in found:
            raise HTTPException(404)
        messages = mail.messages(visit.db, judge)
        if messages:
            mail.mark_read(visit.db, judge, "judge", self.now(), messages[-1].id)
        return self.shown(
            visit,
            "judge",
            judge,
            person=found[judge],
            who=visit.db.execute("SELECT name, contact FROM person WHERE judge = ?", (judge,)).fetchone(),
            given=[each for each in every if each.judge == judge],
            messages=messages,
            notes=visit.db.execute("SELECT text, at FROM note WHERE judge = ? ORDER BY at", (judge,)).fetchall(),
            warnings=visit.db.execute(
                "SELECT reason, at FROM warning WHERE judge = ? ORDER BY at", (judge,)
            ).fetchall(),
            survey=_survey(visit.db, judge),
            asked=bool(self.people.profile),
            phases=controls.AT_WORK,
        )

    def _write(self, visit: Visit, form: Form) -> str:
        mail.send(visit.db, visit.path["judge"], "researcher", form.get("text", ""), self.now())
        return f"/judges/{visit.path['judge']}"

    def _note_judge(self, visit: Visit, form: Form) -> str:
        _exists(visit.db, "judge", visit.path["judge"])
        controls.add_note(visit.db, form.get("note", ""), self.now(), judge=visit.path["judge"])
        return f"/judges/{visit.path['judge']}"

    def _stop(self, visit: Visit, form: Form) -> str:
        controls.stop(visit.db, visit.path["judge"], form.get("reason", ""))
        live.leave(visit.db, visit.path["judge"], self.now(), self.people.live_seconds)
        return f"/judges/{visit.path['judge']}"

    def _let_back(self, visit: Visit, form: Form) -> str:
        judge = visit.path["judge"]
        controls.let_back(visit.db, judge, form.get("phase", ""), form.get("reason", ""), self.now())
        return f"/judges/{judge}"

    def _debates(self, visit: Visit) -> Response:
        """List the debates."""
        verdicts, decisions = worth_a_look.by_debate(given.read(visit.db)), worth_a_look.decisions(visit.db)
        rows = [
            (row, verdicts.get(row["id"], []), decisions.get(row["id"]))
            for row in visit.db.execute(
                f"SELECT d.id, {_KIND}, d.question, d.wanted, a.correct, "
                "coalesce(c.run || ': ' || c.checkpoint || ', ' || c.protocol, '') AS condition "
                "FROM debate d LEFT JOIN answer a ON a.debate = d.id "
                "LEFT JOIN condition c ON c.id = d.condition ORDER BY kind, d.question, c.id"
            )
        ]
        return self.shown(visit, "debates", "debates", rows=rows)

    def _debate(self, visit: Visit) -> Response:
        """Show a debate as judges see it, and all that was said about it."""
        debate = visit.path["debate"]
        row = visit.db.execute(
            f"SELECT d.*, {_KIND}, a.correct, c.run, c.checkpoint, c.protocol "
            "FROM debate d LEFT JOIN answer a ON a.debate = d.id "
            "LEFT JOIN condition c ON c.id = d.condition WHERE d.id = ?",
            (debate,),
        ).fetchone()
        if row is None:
            raise HTTPException(404)
        transcript = transcripts.from_json(json.loads(row["transcript"]))
        assert isinstance(transcript, Transcript)
        every = [each for each in given.read(visit.db) if each.debate == debate]
        steps = visit.db.execute(
            "SELECT s.place, s.p FROM step s JOIN place p ON p.id = s.place WHERE p.debate = ? ORDER BY s.round",
            (debate,),
        ).fetchall()
        return self.shown(
            visit,
            "debate",
            self.say["debate"].format(number=debate),
            row=row,
            transcript=transcript,
            correct=row["correct"],
            rounds=rounds_of(transcript),
            given=every,
            live={each.place: own for each in every if (own := live.rounds_read(visit.db, each.place, transcript))},
            by_round={each.place: [percent(p) for place, p in steps if place == each.place] for each in every},
            models=visit.db.execute("SELECT judge, p FROM model_verdict WHERE debate = ?", (debate,)).fetchall(),
            notes=visit.db.execute("SELECT text, at FROM note WHERE debate = ? ORDER BY at", (debate,)).fetchall(),
            decision=visit.db.execute("SELECT * FROM adjudication WHERE debate = ?", (debate,)).fetchone(),
        )

    def _note_debate(self, visit: Visit, form: Form) -> str:
        _exists(visit.db, "debate", visit.path["debate"])
        controls.add_note(visit.db, form.get("note", ""), self.now(), debate=visit.path["debate"])
        return f"/debates/{visit.path['debate']}"

    def _decide(self, visit: Visit, form: Form) -> str:
        debate, percent = visit.path["debate"], form.get("p", "")
        _exists(visit.db, "debate", debate)
        if not re.fullmatch("[0-9]{1,3}", percent) or int(percent) > 100:
            raise StudyError("Say how likely answer A is, from 0 to 100.", "say_percent")
        controls.adjudicate(visit.db, debate, int(percent) / 100, form.get("explanation", ""), self.now())
        return f"/debates/{debate}"

    def _queue(self, visit: Visit) -> Response:
        """List the debates that a cascade has put to the people."""
        return self.shown(visit, "queue", "queue", queue=queued.queued(visit.db, given.read(visit.db)))

    def _look(self, visit: Visit) -> Response:
        """List what is worth a look by the reason why."""
        looks = worth_a_look.worth_a_look(visit.db, given.read(visit.db))
        by_reason = [
            (why, [(look, self.say[f"size_{why}"].format(**_sizes(look))) for look in looks if look.why == why])
            for why in dict.fromkeys(look.why for look in looks)
        ]
        return self.shown(visit, "look", "look", by_reason=by_reason, questions=_questions(visit.db))

    def _parted(self, visit: Visit) -> Response:
        """List the debates on which judges part, the most parted first."""
        serious = [each for each in given.read(visit.db) if each.phase != "training"]
        found = worth_a_look.parted(serious, worth_a_look.decisions(visit.db))
        return self.shown(visit, "parted", "parted", parted=found, questions=_questions(visit.db))

    def _agreement(self, visit: Visit) -> Response:
        """List how far each two judges agree."""
        found, _ = self._results(visit.db)
        pairs = persons.pairs(given.read(visit.db))
        return self.shown(visit, "agreement", "agreement", pairs=pairs, alpha=found.alpha, scales=found.by_scale)

    def _guidelines(self, visit: Visit) -> Response:
        """Show the versions of the guidelines, with what changed, and a form for a new one."""
        versions = visit.db.execute("SELECT * FROM guidelines ORDER BY version").fetchall()
        told = []
        for before, row in zip([None, *versions], versions, strict=False):
            (read,) = visit.db.execute(
                "SELECT count(*) FROM acknowledged WHERE version = ?", (row["version"],)
            ).fetchone()
            told.append((row, list(changed_lines(before["text"], row["text"])) if before else [], read))
        return self.shown(visit, "guidelines", "guidelines", versions=told[::-1], newest=versions[-1])

    def _new_guidelines(self, visit: Visit, form: Form) -> str:
        controls.new_guidelines(visit.db, form.get("text", ""), self.now())
        return "/guidelines"

    def _messages(self, visit: Visit) -> Response:
        """List all threads, and offer to write to one judge or all."""
        judges = [judge for (judge,) in visit.db.execute("SELECT id FROM judge ORDER BY number")]
        return self.shown(visit, "messages", "messages", threads=mail.threads(visit.db), judges=judges)

    def _write_to(self, visit: Visit, form: Form) -> str:
        if form.get("to") == "all":
            mail.send_to_all(visit.db, form.get("text", ""), self.now())
        else:
            mail.send(visit.db, form.get("to", ""), "researcher", form.get("text", ""), self.now())
        return "/messages"

    def _pause(self, visit: Visit, form: Form) -> str:
        controls.pause(visit.db)
        return "/"

    def _resume(self, visit: Visit, form: Form) -> str:
        controls.resume(visit.db)
        return "/"


_KIND = "CASE WHEN a.debate IS NULL THEN 'queue' ELSE d.phase END AS kind"


def _exists(db: sqlite3.Connection, table: str, key: Any) -> None:
    if not db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (key,)).fetchone():
        raise HTTPException(404)


def _survey(db: sqlite3.Connection, judge: str) -> dict[str, Any]:
    found = db.execute("SELECT fields FROM survey WHERE judge = ?", (judge,)).fetchone()
    fields: dict[str, Any] = json.loads(found["fields"]) if found else {}
    return fields


def _questions(db: sqlite3.Connection) -> dict[int, str]:
    """Return the text of each debate's question."""
    rows = db.execute("SELECT id, json_extract(transcript, '$.record.question.text') FROM debate")
    return {debate: text for debate, text in rows}


def _sizes(look: worth_a_look.Look) -> dict[str, str]:
    return {
        "percent": percent(look.size),
        "times": f"{look.size:.1f}",
        "words": f"{look.size:.0f}",
        "judge": look.about,
    }


def changed_lines(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text with what became of each: "same", "new" or "gone"."""
    kinds = {" ": "same", "+": "new", "-": "gone"}
    for line in difflib.ndiff(before.splitlines(), after.splitlines()):
        if line[0] in kinds:
            yield kinds[line[0]], line[2:]


def percent(share: float | None) -> str:
    """Return a share in percent, a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def within(interval: Interval, places: int | None = None) -> str:
    """Return an estimate with its interval, in percent unless a number of decimal places is given."""
    show = percent if places is None else lambda value: number(value, places)
    if math.isnan(interval.low):
        return show(interval.estimate)
    return f"{show(interval.estimate)} ({show(interval.low)} – {show(interval.high)})"


def number(value: float | None, places: int = 1) -> str:
    """Return a number, a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{places}f}"


def when(at: float | None) -> str:
    """Return a time as date, hour and minute (UTC), a dash where there is none."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
