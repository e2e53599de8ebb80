"""Lets ``python -m service`` stand for the ``routekeeper`` command."""

from service.cli.app import main

main()
