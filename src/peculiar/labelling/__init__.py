"""Labels from people: stored, exchanged with Zooniverse, asked for in the browser."""
