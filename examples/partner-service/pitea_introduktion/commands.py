"""The command line `pitea-introduktion`."""

from types import ModuleType

from kompetensnav_chassis.commands import service_commands


def _main() -> ModuleType:
    from pitea_introduktion import main

    return main


run = service_commands("introduktion", main=_main, package="pitea_introduktion")
