"""What people say of galaxies: stored, exchanged, asked for."""
