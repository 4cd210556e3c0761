"""The Present page: a story in seven steps for a room, with notes for the speaker in a second window."""
