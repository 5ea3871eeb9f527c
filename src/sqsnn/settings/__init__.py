"""What can be chosen: the options of the objects that act, as one tree of settings."""
