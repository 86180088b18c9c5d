"""What `broker/upstream.py` and its neighbours work around is still so in the libraries as they are pinned.

A failure here after an upgrade is good news, or a name that has gone: look whether the work-around can go.
"""

import asyncio
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from faststream.nats import JStream, NatsBroker
from faststream.nats.subscriber import factory
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError
from nats.micro.request import Request

import kompetensnav_chassis
from kompetensnav_chassis.broker import Consumer, upstream
from kompetensnav_chassis.broker.pull import BatchSubscriber, SingleSubscriber
from kompetensnav_contracts.events.registry import SlotPosted

CHASSIS = Path(kompetensnav_chassis.__file__).parent


@pytest.mark.parametrize(("many", "kind"), [(True, BatchSubscriber), (False, SingleSubscriber)])
def test_a_subscriber_of_ours_is_one_of_the_brokers(many, kind):
    broker = NatsBroker()
    consumer = Consumer("x-y", (SlotPosted,), lambda *_: None, many=many)
    made = upstream.subscriber(broker, consumer, JStream("INT_X", declare=False), "_INBOX_x.")
    made(lambda message: None)
    assert isinstance(made, kind)
    assert broker.subscribers == [made]
    assert made.config.filter_subjects == consumer.filters
    assert made.calls


def test_the_factory_of_faststream_takes_no_class_of_ours():
    assert not {"cls", "class_", "subscriber_class"} & set(
        inspect.signature(factory.create_subscriber).parameters
    )


async def test_the_loop_of_faststream_spins_while_a_connection_is_closed():
    """ag2ai/faststream#2632: it tries again at once, and again, so ours replaces it."""
    fetches = 0

    async def fetch(**_):
        nonlocal fetches
        fetches += 1
        subscriber.running = fetches < 1000
        raise ConnectionClosedError

    subscriber = SimpleNamespace(
        running=True,
        subscription=SimpleNamespace(fetch=fetch),
        pull_sub=SimpleNamespace(batch_size=1, timeout=1),
    )
    turns = asyncio.Event()
    asyncio.get_running_loop().call_soon(turns.set)
    await PullStreamSubscriber._consume_pull(subscriber, cb=None)
    assert fetches == 1000
    assert not turns.is_set(), "others have had a turn in between"


def test_a_message_is_still_terminated_without_a_reason():
    """nats-io/nats-server#4697 takes one; when nats-py's `term` does, `retry` need not write it by hand."""
    assert list(inspect.signature(Msg.term).parameters) == ["self"]


def test_a_client_still_has_no_other_sign_of_having_given_up():
    client = Client()
    assert not upstream.gave_up(client)
    client._reconnection_task = SimpleNamespace(done=lambda: True)
    assert upstream.gave_up(client)


def test_no_other_module_touches_a_private_name_of_a_library():
    private = re.compile(r"(?<!self)(?<!cls)(?<!os)\._[a-z]\w*|from (?:faststream|nats)[\w.]*\._")
    found = [
        f"{path.relative_to(CHASSIS)}:{number}"
        for path in sorted(CHASSIS.rglob("*.py"))
        if path.name != "upstream.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]
    assert not found


def test_a_question_of_nats_py_does_not_tell_where_its_answer_goes():
    request = Request(Msg(SimpleNamespace(), "ask.2580.registry.contact", "_INBOX.x", b"{}"))
    assert upstream.reply_of(request) == "_INBOX.x"
    assert not hasattr(Request, "reply")
