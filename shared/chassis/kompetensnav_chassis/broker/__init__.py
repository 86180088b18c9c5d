"""How a service speaks with NATS: what it listens to, and the connection that carries it.

listener    what a service listens to, and which questions it answers
work        what happens to each message of a consumer: inbox, handler, commit, acknowledgement
pull        the loop that fetches messages; a subscriber class of FastStream's
questions   request and reply
connection  connects, starts, watches and stops
upstream    every private name of FastStream and nats-py that is touched
"""

from kompetensnav_chassis.broker.listener import Consumer, Listener

__all__ = ["Consumer", "Listener"]
