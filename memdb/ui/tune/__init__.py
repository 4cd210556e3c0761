"""The Recall and Indexes pages."""
