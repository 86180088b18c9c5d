"""What every page and route needs: the board, a transaction, the broker, and a name."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.errors import BadRows, Conflict, NotFound, Unavailable
from kompetensnav_chassis.identity import Identity
from kompetensnav_chassis.retry import Comparison
from kompetensnav_chassis.streams import Stored
from kompetensnav_operations.actions.audit import Verdict, Who, enter, verify
from kompetensnav_operations.actions.event_reader import comparison, original
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.picture import Queue
from kompetensnav_operations.edges.broker import AWAY, BATCH, Broker, Held, Refused
from kompetensnav_operations.tables import DeadLetter


@dataclass(frozen=True)
class Console:
    """One request's way to everything."""

    state: Any

    @property
    def board(self) -> Board:
        """What the console knows."""
        board: Board = self.state.board
        return board

    def who(self, identity: Identity) -> Who:
        """Somebody, as the audit writes them."""
        return Who(identity.subject, tuple(sorted(identity.roles)), self.board.stack)

    @property
    def broker(self) -> Broker:
        """The broker, when it is there. Raises Unavailable."""
        if self.board.broker is None or not self.board.broker.is_there:
            raise Unavailable(
                "NATS does not answer, so this cannot be done now. Nothing has changed.",
                "NATS svarar inte, så det går inte att göra nu. Inget har ändrats.",
            )
        return self.board.broker

    async def held(self) -> Held:
        """What the stream of dead letters holds, when something can be sent: the broker is there, and what
        is known of it is of now. Raises Unavailable."""
        broker = self.broker
        if not self.board.is_live:
            raise Unavailable(
                "What the console knows of NATS is too old to act on. Nothing has changed.",
                "Det som är känt om NATS är för gammalt för att göra något. Inget har ändrats.",
            )
        try:
            return await broker.held(self.board.names.dead)
        except (*AWAY, Refused) as away:
            raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction over the console's own rows. What the broker refuses becomes Unavailable, and undoes
        it."""
        try:
            async with transaction(self.state.sessions, Scope()) as session:
                yield session
        except Refused as no:
            raise Unavailable(f"NATS refuses: {no}.", f"NATS vägrar: {no}.") from no
        except AWAY as away:
            if isinstance(away, OSError) and not isinstance(away, TimeoutError):
                raise  # the database, which the chassis answers for
            raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away

    async def look_again(self) -> None:
        """Returns when the picture is newer than what was just done, or after a while."""
        now = datetime.now(UTC)
        self.state.wake("look")
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                async for picture in self.board.follow():
                    if picture.at > now:
                        return

    def queue(self, stream: str, consumer: str) -> Queue:
        """A queue of the picture. Raises NotFound."""
        found = self.board.picture.queue(stream, consumer)
        if found is None:
            raise NotFound("There is no such queue.", "Det finns ingen sådan kö.")
        return found

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """A dead letter. Raises NotFound."""
        async with self.begin() as session:
            found = await session.get(DeadLetter, dead_letter_id) if dead_letter_id < 2**63 else None
        if found is None:
            raise NotFound("There is no such dead letter.", "Det finns inget sådant meddelande.")
        return found

    async def original(self, dead_letter: DeadLetter) -> Stored | None:
        """The dead letter's message with its body; None when it is gone. Raises Unavailable."""
        try:
            return await original(self.broker, self.board.names.dead, dead_letter)
        except AWAY as away:
            raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away

    async def comparison(self, dead_letter: DeadLetter, message: Stored) -> Comparison:
        """What a dead letter is beside the message that it says it is of. Raises Unavailable."""
        try:
            return await comparison(self.broker, dead_letter, message)
        except AWAY as away:
            raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away

    async def editable(self, dead_letter_id: int) -> tuple[DeadLetter, Stored]:
        """A dead letter and its message, to be edited. Raises NotFound, Unavailable, and Conflict when it is
        not what the stream holds."""
        dead_letter = await self.dead_letter(dead_letter_id)
        message = await self.original(dead_letter)
        if message is None:
            raise NotFound("Its message is not there any more.", "Meddelandet finns inte kvar.")
        if await self.comparison(dead_letter, message) == "differs":
            raise Conflict(
                "It is not what the stream holds, so it is neither edited nor replayed.",
                "Det stämmer inte med strömmen, så det varken redigeras eller sänds om.",
            )
        return dead_letter, message

    async def message(self, stream: str, seq: int) -> Stored | None:
        """A message of a stream; None when it is not there. Raises Unavailable."""
        try:
            return await self.broker.message(stream, seq)
        except AWAY as away:
            raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away

    async def revealed(self, identity: Identity, target: str) -> None:
        """Enters that somebody has seen what is inside."""
        async with self.begin() as session:
            await enter(session, self.who(identity), "reveal", target)

    async def verdict(self) -> Verdict:
        """The audit, held against what the broker has of it. Raises Unavailable."""
        stack = self.board.stack
        stream, subject = f"INT_{stack.upper()}", "nav.*.int.operations.audit.extended.v1"
        anchors: dict[int, str] = {}
        seq = 1
        while True:
            try:
                found = await self.broker.read(stream, seq, subject=subject)
            except AWAY as away:
                raise Unavailable("NATS does not answer.", "NATS svarar inte.") from away
            for each in found:
                number, seal = anchor(each)
                anchors.setdefault(number, seal)
            if len(found) < BATCH:
                break
            seq = found[-1].seq + 1
        async with self.begin() as session:
            return await verify(session, anchors)


def anchor(message: Stored) -> tuple[int, str]:
    """(number, seal) that an event tells."""
    said = json.loads(message.data)
    return int(said["number"]), str(said["seal"])


def console(request: Request) -> Console:
    """The console of a request."""
    return Console(request.app.state)


TheConsole = Annotated[Console, Depends(console)]


def time_said(name: str, text: str) -> datetime | None:
    """A time of a form, in UTC when it says no zone; None for none. Raises BadRows."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as bad:
        raise BadRows(f"{text} is no time.", f"{text} är ingen tid.", errors=[{"where": name}]) from bad
