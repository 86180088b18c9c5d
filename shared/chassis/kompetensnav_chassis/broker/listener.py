"""What a service listens to.

    listener = Listener("matching")

    @listener.on(SlotPosted)                 # acts on one event: one transaction per message
    async def on_slot_posted(event: SlotPosted, session: Session) -> None: ...

    @listener.on_many(LearnerMatched)        # volume: one transaction per at most 100 messages
    async def on_learners_matched(events: Sequence[LearnerMatched], session: Session) -> None: ...

Each is idempotent by construction: the event is entered in the inbox in the handler's own transaction, and
a message is acknowledged only after the commit.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Sessions
from kompetensnav_contracts import Event, subject

Handler = Callable[[Any, AsyncSession], Awaitable[None]]
Answerer = Callable[[str, Any, Sessions], Awaitable[Any]]
"""(municipality, question, sessions) -> answer."""


@dataclass
class Consumer:
    """One durable consumer: the events it receives, and the handler that gets them."""

    durable: str
    events: tuple[type[Event], ...]
    handler: Handler
    many: bool
    projection: bool = False
    """Whether all it writes follows from the events alone, so that a replay of the log makes it again."""
    in_turn: bool = False
    """Whether each event of a batch has a transaction of its own, in order."""
    polled_at: float = 0.0
    """When it last asked for messages, on the monotonic clock."""

    def stream(self, stack: str) -> str:
        """The stream it reads: the stack's own events, or what other stacks have published to it."""
        return f"{'FEDIN' if self._is_federated else 'INT'}_{stack.upper()}"

    @property
    def filters(self) -> list[str]:
        """The subjects it receives: its events, and those sent to it again by a replay."""
        kind = "fed" if self._is_federated else "int"
        return [*(subject(event) for event in self.events), f"replay.{kind}.{self.durable}.>"]

    @property
    def _is_federated(self) -> bool:
        return self.events[0].visibility == "fed"

    def event(self, name: str) -> type[Event]:
        """The class of an event's name; another version of it is read as the first class and refused
        there."""
        return next((e for e in self.events if e.name == name), self.events[0])


@dataclass
class Listener:
    """A service's consumers, and its answers to questions."""

    service: str
    consumers: list[Consumer] = field(default_factory=list)
    questions: dict[str, Answerer] = field(default_factory=dict)

    def on(self, event: type[Event]) -> Callable[[Handler], Handler]:
        """A consumer for a handler that acts on one event; named after it."""
        return self._add((event,), f"{self.service}-{event.name.replace('.', '-')}", many=False)

    def on_many(
        self, *events: type[Event], name: str = "", projection: bool = False, in_turn: bool = False
    ) -> Callable[[Handler], Handler]:
        """A consumer for volume; several events share one durable, which then needs a name. What a
        `projection` writes follows from the events alone: it can be rebuilt. `in_turn`: one event a
        transaction, for acts that lock rows in an order of their own."""
        durable = f"{self.service}-{name or events[0].name.replace('.', '-')}"
        return self._add(events, durable, many=True, projection=projection, in_turn=in_turn)

    def on_ask(self, thing: str) -> Callable[[Answerer], Answerer]:
        """Answers the question `ask.<municipality>.<service>.<thing>`."""

        def register(answerer: Answerer) -> Answerer:
            self.questions[thing] = answerer
            return answerer

        return register

    def _add(
        self,
        events: tuple[type[Event], ...],
        durable: str,
        *,
        many: bool,
        projection: bool = False,
        in_turn: bool = False,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.consumers.append(Consumer(durable, events, handler, many, projection, in_turn))
            return handler

        return register
