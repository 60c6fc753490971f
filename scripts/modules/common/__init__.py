"""What several commands use: how they begin and end, children, output, git."""
