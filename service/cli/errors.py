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
     ├── NoSamples             there is nothing to simulate on
     ├── RulesRefused          rules to simulate could not have been set
     ├── PlotsMissing          what draws plots is not installed
     ├── PlotNotWritten        a file with a plot cannot be written
     └── NotAScratchDatabase   a file holds something else and must not be written to
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


class NoSamples(CommandLineError):
    """There is nothing to simulate on."""


class RulesRefused(CommandLineError):
    """Rules to simulate could not have been set."""


class PlotsMissing(CommandLineError):
    """What draws plots is not installed."""


class PlotNotWritten(CommandLineError):
    """A file with a plot cannot be written."""


class NotAScratchDatabase(CommandLineError):
    """A file holds something else and must not be written to."""
