"""The console listens to no event: it looks at all of them from outside."""

from kompetensnav_chassis.broker.listener import Listener

listener = Listener("operations")
