"""What is asked of a galaxy: questions, decision trees, votes."""
