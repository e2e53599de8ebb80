"""What each command does, one file a concern; :mod:`domain.decide` is the way in."""
