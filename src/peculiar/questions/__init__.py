"""What is asked of a galaxy: questions, trees of them, and votes."""
