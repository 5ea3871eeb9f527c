"""How trainings grow: with the processes that share them, and with the size of what they train."""
