"""Real quantum stacks: circuits, devices and the jobs that run on them (extra `hardware`)."""
