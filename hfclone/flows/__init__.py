"""What each command does, from what the user asked for to the report; ``clone`` is the mission."""
