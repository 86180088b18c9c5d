"""The command line `kompetensnav-matching`."""

from types import ModuleType

from kompetensnav_chassis.commands import service_commands


def _main() -> ModuleType:
    from kompetensnav_matching import main

    return main


run = service_commands("matching", main=_main)
