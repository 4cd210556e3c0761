"""One server or cluster: where it is, how it talks, what it may be asked."""
