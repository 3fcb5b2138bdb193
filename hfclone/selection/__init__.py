"""Which of a repo's objects the user wants, and what was chosen before."""
