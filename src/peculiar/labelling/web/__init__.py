"""The labelling pages: people answer questions about galaxies in the browser."""
