"""The command line `kompetensnav-notifications`."""

from types import ModuleType

from kompetensnav_chassis.commands import service_commands


def _main() -> ModuleType:
    from kompetensnav_notifications import main

    return main


run = service_commands("notifications", main=_main)
