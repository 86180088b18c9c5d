"""Every private name of FastStream and nats-py that this code touches, with the reason.

A test of this module's (`test_upstream.py`) fails when a name goes, and when upstream has mended what made it
necessary.
"""

from typing import Any

from faststream import AckPolicy
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.broker.registrator import NatsRegistrator
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from nats.micro.request import Request

from kompetensnav_chassis.broker.listener import Consumer
from kompetensnav_chassis.broker.pull import BATCH, WORKERS, BatchSubscriber, SingleSubscriber


def subscriber(
    broker: NatsBroker, consumer: Consumer, stream: JStream, inbox_prefix: str
) -> BatchSubscriber | SingleSubscriber:
    """Adds a subscriber of ours to the broker.

    FastStream's factory makes its own classes only, and takes no others (ag2ai/faststream has no issue for
    it; `modern-python/faststream-outbox` does as is done here).
    """
    config = ConsumerConfig(filter_subjects=consumer.filters, durable_name=consumer.durable)
    options = {"durable": consumer.durable, "stream": stream.name, "inbox_prefix": inbox_prefix.encode()}
    calls = CallsCollection[Any]()
    parts: dict[str, Any] = {
        "config": NatsSubscriberConfig(
            subject="",
            sub_config=config,
            extra_options=options,
            no_reply=True,
            _outer_config=broker.config,  # type: ignore[arg-type]
            _ack_policy=AckPolicy.MANUAL,
        ),
        "specification": NatsSubscriberSpecification(
            _outer_config=broker.config,  # type: ignore[arg-type]
            calls=calls,
            specification_config=NatsSubscriberSpecificationConfig(
                subject="", queue=None, filter_subjects=consumer.filters, title_=None, description_=None
            ),
        ),
        "calls": calls,
        "stream": stream,
    }
    made: BatchSubscriber | SingleSubscriber
    if consumer.many:
        made = BatchSubscriber(**parts, pull_sub=PullSub(BATCH, timeout=1, batch=True))
    else:
        made = SingleSubscriber(**parts, queue="", pull_sub=PullSub(1, timeout=1), max_workers=WORKERS)
    super(NatsRegistrator, broker).subscriber(made)  # what NatsRegistrator does with what its factory made
    return made


def gave_up(client: Client) -> bool:
    """Whether the client is neither connected nor trying to be.

    When the server throws a user out, closing and reconnecting race with each other, and the client may be
    left without any of its call-backs called (nats-io/nats.py#735 asks for an error that tells).
    """
    trying = client._reconnection_task
    return not client.is_connected and trying is not None and bool(trying.done())


def reply_of(request: Request) -> str:
    """The subject that a question is to be answered on: nats-py's request does not tell (2.12)."""
    return request._msg.reply
