"""Serves the pages of a study until stopped: the judges' and, on a port of their own, the researcher's."""

import socket
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from rostrum.launch.arguments import nothing_else, take
from rostrum.launch.errors import LaunchError
from rostrum.launch.people import password
from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.researcher_pages import ResearcherPages
from rostrum.launch.people.site import Site
from rostrum.trainer.config.people import People

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where pages are served, and by which word of the command that is chosen."""

    site: Site
    host: str
    port: int
    key: str

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"


def places(study: Path, people: People, db: sqlite3.Connection, words: Sequence[str]) -> tuple[Place, Place | None]:
    """Return where the command's words say that the judges' pages are served, and the researcher's; None where there
    is no password for these yet, and nobody asked for them.

    Raises:
        LaunchError: a word is not known or a port none, or the researcher's pages are asked for without a password.
    """
    rest, host = take(words, "host")
    rest, port = take(rest, "port")
    rest, own_host = take(rest, "researcher_host")
    rest, own_port = take(rest, "researcher_port")
    rest, https = take(rest, "https")
    nothing_else(rest, "people")
    judges = Place(JudgePages(study, people, https == "true"), host or LOOPBACK, _port(port, 8000, "port"), "port")
    if password.kept(db) is not None:
        # on this machine alone they are reached without https, whatever stands before the judges'
        pages = ResearcherPages(study, people, https == "true" and own_host is not None)
        number = _port(own_port, 8001, "researcher_port")
        return judges, Place(pages, own_host or LOOPBACK, number, "researcher_port")
    if own_host is not None or own_port is not None:
        raise LaunchError(f"The researcher's pages need a password: set one with `rostrum people password {study}`.")
    return judges, None


def _port(text: str | None, usual: int, key: str) -> int:
    if text is None:
        return usual
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise LaunchError(f"{key}={text} is no port: give a number.")
    return int(text)


def serve(judges: Place, researcher: Place | None) -> None:
    """Serve until stopped.

    Raises:
        LaunchError: a port is taken, or there is no such host.
    """
    listening = [(each, _listen(each)) for each in (judges, researcher) if each is not None]
    servers = [(_server(each.site), own) for each, own in listening]
    for server, own in servers[1:]:  # statistics take a second, for which judges need not wait
        threading.Thread(target=server.run, args=([own],), daemon=True).start()
    server, own = servers[0]
    server.run([own])


def _listen(place: Place) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise LaunchError(
            f"Nothing can be served on {place.host}:{place.port} ({error.strerror or error}): choose another "
            f"{place.key}=PORT."
        ) from None


def _server(site: Site) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(site.application(), server_header=False, log_level="warning", access_log=False)
    )
