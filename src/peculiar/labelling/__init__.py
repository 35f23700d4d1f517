"""Labels from people: given in the browser, stored, exchanged with Zooniverse."""
