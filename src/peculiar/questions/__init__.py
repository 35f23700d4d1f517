"""Questions about a galaxy, decision trees, votes."""
