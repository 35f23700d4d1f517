"""Files: written atomically, read within limits."""
