"""What can go wrong on the command line, each with a message of one line.

::

    CommandLineError
     ├── ViewsMissing          there are no views to read yet
     ├── ViewsUnreadable       the database of the views does not answer, or is none
     ├── LogMissing            there is no event log to read
     ├── NotSent               Kafka did not take a command
     ├── CommandRefused        a command was taken and then refused
     ├── NoEffectSeen          a command was taken, and nothing was seen to come of it in time
     ├── NotYet                there was no such deployment at the time that was asked about
     ├── NotExported           a bundle of events was not written
     ├── BundleUnreadable      a file that should hold a bundle cannot be read
     ├── NoSamples             there is nothing to simulate on
     ├── RulesRefused          rules to simulate could not have been set
     ├── NotAScratchDatabase   a file holds something else and must not be written to
     └── PlotNotDrawn          a plot cannot be drawn or its file not written
"""

from domain.errors import RoutekeeperError


class CommandLineError(RoutekeeperError):
    """The root of what the command line raises on purpose."""


class ViewsMissing(CommandLineError):
    """There are no views to read yet."""


class ViewsUnreadable(CommandLineError):
    """The database of the views does not answer, or is none."""


class LogMissing(CommandLineError):
    """There is no event log to read."""


class NotSent(CommandLineError):
    """Kafka did not take a command."""


class CommandRefused(CommandLineError):
    """A command was taken and then refused; the message holds the recorded reason."""


class NoEffectSeen(CommandLineError):
    """A command was taken, and nothing was seen to come of it in time."""


class NotYet(CommandLineError):
    """There was no such deployment at the time that was asked about."""


class NotExported(CommandLineError):
    """A bundle of events was not written."""


class BundleUnreadable(CommandLineError):
    """A file that should hold a bundle cannot be read."""


class NoSamples(CommandLineError):
    """There is nothing to simulate on."""


class RulesRefused(CommandLineError):
    """Rules to simulate could not have been set."""


class StateDamaged(CommandLineError):
    """What an earlier verification left cannot be read, or nothing can be left for a later one."""


class NotAScratchDatabase(CommandLineError):
    """A file holds something else and must not be written to."""


class PlotNotDrawn(CommandLineError):
    """A plot cannot be drawn, because something is not installed, or its file cannot be written."""
